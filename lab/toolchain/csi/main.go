// Command csi-disks is a CSI driver of one node whose volumes are disks with a size: a file each, mounted as XFS by a
// loop device, which the kernel keeps for as long as it is mounted. It makes, mounts, grows (while a Pod uses it) and
// removes them, and registers itself with the kubelet, as node-driver-registrar does for drivers that do not.
//
// The example driver of Kubernetes' storage group (csi-driver-host-path) is no module that the proxies carry, and its
// volumes are plain folders, whose size nobody holds.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"k8s.io/klog/v2"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// Name of the driver: the provisioner of its StorageClasses.
const Name = "disks.lab.switchyard.dev"

func main() {
	log.SetPrefix("csi-disks: ")
	kubelet := flag.String("kubelet", "/var/lib/kubelet", "root folder of the kubelet, the same inside and outside")
	node := flag.String("node", "", "name of this node")
	folder := flag.String("folder", "", "folder of the disks' files")
	room := flag.Int64("room", 0, "bytes that all disks together may have")
	klog.InitFlags(nil)
	flag.Parse()
	if *node == "" || *folder == "" || *room <= 0 {
		log.Fatal("-node, -folder and -room are needed")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *kubelet, newDriver(*node, &pool{folder: *folder, room: *room})); err != nil {
		log.Fatal(err)
	}
}

// run serves the driver's socket and, beside it, the one by which the kubelet finds it, until ctx ends.
func run(ctx context.Context, kubelet string, driver *driver) error {
	endpoint := filepath.Join(kubelet, "plugins", Name, "csi.sock")
	services, registrations := grpc.NewServer(grpc.UnaryInterceptor(logged)), grpc.NewServer()
	csi.RegisterIdentityServer(services, driver)
	csi.RegisterControllerServer(services, driver)
	csi.RegisterNodeServer(services, driver)
	refused := make(chan error, 1)
	registration.RegisterRegistrationServer(registrations, &registrar{endpoint: endpoint, refused: refused})
	ended := make(chan error, 2)
	for socket, server := range map[string]*grpc.Server{
		endpoint: services,
		filepath.Join(kubelet, "plugins_registry", Name+"-reg.sock"): registrations,
	} {
		listener, err := listen(socket)
		if err != nil {
			return err
		}
		go func() { ended <- server.Serve(listener) }()
	}
	defer registrations.Stop()
	defer services.GracefulStop()
	select {
	case <-ctx.Done():
		return nil
	case err := <-refused:
		return err
	case err := <-ended:
		return err
	}
}

// listen takes a socket's place, also after a driver that could not remove its own.
func listen(socket string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o750); err != nil {
		return nil, err
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return net.Listen("unix", socket)
}

func logged(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	response, err := handler(ctx, request)
	if err != nil {
		log.Printf("%s: %v", info.FullMethod, err)
	}
	return response, err
}

// registrar answers the kubelet, which watches its folder of plug-ins (k8s.io/kubelet, pluginregistration/v1).
type registrar struct {
	registration.UnimplementedRegistrationServer
	endpoint string
	refused  chan<- error
}

func (r *registrar) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type:              registration.CSIPlugin,
		Name:              Name,
		Endpoint:          r.endpoint,
		SupportedVersions: []string{"1.0.0"},
	}, nil
}

func (r *registrar) NotifyRegistrationStatus(
	_ context.Context, status *registration.RegistrationStatus,
) (*registration.RegistrationStatusResponse, error) {
	if !status.PluginRegistered {
		r.refused <- errors.New("the kubelet did not take it: " + status.Error)
	}
	return &registration.RegistrationStatusResponse{}, nil
}
