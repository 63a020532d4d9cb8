package main

import (
	"context"
	"os"
	"slices"
	"sync"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"k8s.io/mount-utils"
	"k8s.io/utils/exec"
)

// ext4 lets nobody grow it while it is mounted but who has CAP_SYS_RESOURCE, which the lab does without.
const fileSystem = "xfs"

// driver is what external-provisioner, external-resizer and the kubelet ask of a driver that has no part elsewhere
// (container-storage-interface/spec, spec.md).
type driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedControllerServer
	csi.UnimplementedNodeServer
	node    string
	pool    *pool
	mounter *mount.SafeFormatAndMount

	// One change of a mount at a time: the kubelet asks again what takes it long.
	mounts sync.Mutex
}

func newDriver(node string, pool *pool) *driver {
	return &driver{node: node, pool: pool, mounter: mount.NewSafeFormatAndMount(mount.New(""), exec.New())}
}

func (d *driver) GetPluginInfo(
	context.Context, *csi.GetPluginInfoRequest,
) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: Name, VendorVersion: "1"}, nil
}

func (d *driver) GetPluginCapabilities(
	context.Context, *csi.GetPluginCapabilitiesRequest,
) (*csi.GetPluginCapabilitiesResponse, error) {
	return &csi.GetPluginCapabilitiesResponse{Capabilities: []*csi.PluginCapability{
		{Type: &csi.PluginCapability_Service_{Service: &csi.PluginCapability_Service{
			Type: csi.PluginCapability_Service_CONTROLLER_SERVICE,
		}}},
		{Type: &csi.PluginCapability_VolumeExpansion_{VolumeExpansion: &csi.PluginCapability_VolumeExpansion{
			Type: csi.PluginCapability_VolumeExpansion_ONLINE,
		}}},
	}}, nil
}

func (d *driver) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{Ready: wrapperspb.Bool(true)}, nil
}

func (d *driver) ControllerGetCapabilities(
	context.Context, *csi.ControllerGetCapabilitiesRequest,
) (*csi.ControllerGetCapabilitiesResponse, error) {
	response := &csi.ControllerGetCapabilitiesResponse{}
	for _, can := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_EXPAND_VOLUME,
	} {
		response.Capabilities = append(response.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: can}},
		})
	}
	return response, nil
}

// unsupported tells why a volume cannot be had in a way that is asked for; empty where it can.
func unsupported(capabilities []*csi.VolumeCapability) string {
	for _, capability := range capabilities {
		mounted := capability.GetMount()
		if mounted == nil {
			return "disks are mounted, not handed out as devices"
		}
		if asked := mounted.GetFsType(); asked != "" && asked != fileSystem {
			return "disks have " + fileSystem + ", not " + asked
		}
		switch capability.GetAccessMode().GetMode() {
		case csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER,
			csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER,
			csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER:
		default:
			return "disks are written to by one node"
		}
	}
	return ""
}

// given refuses a request that lacks something, as the specification has it.
func given(fields ...bool) error {
	if slices.Contains(fields, false) {
		return status.Error(codes.InvalidArgument, "the request lacks a field that the specification requires")
	}
	return nil
}

func (d *driver) CreateVolume(
	_ context.Context, request *csi.CreateVolumeRequest,
) (*csi.CreateVolumeResponse, error) {
	if err := given(request.GetName() != "", len(request.GetVolumeCapabilities()) > 0); err != nil {
		return nil, err
	}
	if why := unsupported(request.GetVolumeCapabilities()); why != "" {
		return nil, status.Error(codes.InvalidArgument, why)
	}
	if request.GetVolumeContentSource() != nil {
		return nil, status.Error(codes.InvalidArgument, "disks are made empty")
	}
	id := request.GetName()
	if !names.MatchString(id) {
		return nil, status.Errorf(codes.InvalidArgument, "%q is no name of a disk", id)
	}
	wanted := request.GetCapacityRange().GetRequiredBytes()
	if has, err := d.pool.size(id); err == nil && has != rounded(wanted) {
		return nil, status.Errorf(codes.AlreadyExists, "disk %s has %d bytes, not %d", id, has, wanted)
	}
	if limit := request.GetCapacityRange().GetLimitBytes(); limit > 0 && rounded(wanted) > limit {
		return nil, status.Errorf(codes.OutOfRange, "no disk has less than %d bytes", rounded(wanted))
	}
	size, err := d.pool.resize(id, wanted)
	if err != nil {
		return nil, err
	}
	return &csi.CreateVolumeResponse{Volume: &csi.Volume{VolumeId: id, CapacityBytes: size}}, nil
}

func (d *driver) DeleteVolume(
	_ context.Context, request *csi.DeleteVolumeRequest,
) (*csi.DeleteVolumeResponse, error) {
	if err := given(request.GetVolumeId() != ""); err != nil {
		return nil, err
	}
	return &csi.DeleteVolumeResponse{}, d.pool.remove(request.GetVolumeId())
}

func (d *driver) ValidateVolumeCapabilities(
	_ context.Context, request *csi.ValidateVolumeCapabilitiesRequest,
) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	if err := given(request.GetVolumeId() != "", len(request.GetVolumeCapabilities()) > 0); err != nil {
		return nil, err
	}
	if _, err := d.pool.size(request.GetVolumeId()); err != nil {
		return nil, err
	}
	if why := unsupported(request.GetVolumeCapabilities()); why != "" {
		return &csi.ValidateVolumeCapabilitiesResponse{Message: why}, nil
	}
	return &csi.ValidateVolumeCapabilitiesResponse{
		Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{
			VolumeCapabilities: request.GetVolumeCapabilities(),
		},
	}, nil
}

// ControllerExpandVolume makes the disk larger; what is on it follows on the node.
func (d *driver) ControllerExpandVolume(
	_ context.Context, request *csi.ControllerExpandVolumeRequest,
) (*csi.ControllerExpandVolumeResponse, error) {
	if err := given(request.GetVolumeId() != "", request.GetCapacityRange() != nil); err != nil {
		return nil, err
	}
	if _, err := d.pool.size(request.GetVolumeId()); err != nil {
		return nil, err
	}
	size, err := d.pool.resize(request.GetVolumeId(), request.GetCapacityRange().GetRequiredBytes())
	if err != nil {
		return nil, err
	}
	return &csi.ControllerExpandVolumeResponse{CapacityBytes: size, NodeExpansionRequired: true}, nil
}

func (d *driver) NodeGetInfo(
	context.Context, *csi.NodeGetInfoRequest,
) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: d.node}, nil
}

func (d *driver) NodeGetCapabilities(
	context.Context, *csi.NodeGetCapabilitiesRequest,
) (*csi.NodeGetCapabilitiesResponse, error) {
	response := &csi.NodeGetCapabilitiesResponse{}
	for _, can := range []csi.NodeServiceCapability_RPC_Type{
		csi.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME,
		csi.NodeServiceCapability_RPC_EXPAND_VOLUME,
		csi.NodeServiceCapability_RPC_GET_VOLUME_STATS,
	} {
		response.Capabilities = append(response.Capabilities, &csi.NodeServiceCapability{
			Type: &csi.NodeServiceCapability_Rpc{Rpc: &csi.NodeServiceCapability_RPC{Type: can}},
		})
	}
	return response, nil
}

// mountAt mounts at a folder what is not there yet, by `how`.
func (d *driver) mountAt(target string, how func() error) error {
	if err := os.MkdirAll(target, 0o750); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	mounted, err := d.mounter.IsMountPoint(target)
	if err == nil && !mounted {
		err = how()
	}
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return nil
}

// NodeStageVolume mounts a disk, with a file system where it has none. mount(8) makes the loop device, and the kernel
// takes it away with the mount, even if all processes of the node end at once.
func (d *driver) NodeStageVolume(
	_ context.Context, request *csi.NodeStageVolumeRequest,
) (*csi.NodeStageVolumeResponse, error) {
	staging := request.GetStagingTargetPath()
	if err := given(request.GetVolumeId() != "", staging != "", request.GetVolumeCapability() != nil); err != nil {
		return nil, err
	}
	d.mounts.Lock()
	defer d.mounts.Unlock()
	if why := unsupported([]*csi.VolumeCapability{request.GetVolumeCapability()}); why != "" {
		return nil, status.Error(codes.InvalidArgument, why)
	}
	if _, err := d.pool.size(request.GetVolumeId()); err != nil {
		return nil, err
	}
	file, err := d.pool.file(request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	options := append([]string{"loop"}, request.GetVolumeCapability().GetMount().GetMountFlags()...)
	err = d.mountAt(staging, func() error { return d.mounter.FormatAndMount(file, staging, fileSystem, options) })
	if err != nil {
		return nil, err
	}
	// It may have grown while no Pod used it.
	if err := d.fill(staging); err != nil {
		return nil, err
	}
	return &csi.NodeStageVolumeResponse{}, nil
}

func (d *driver) NodeUnstageVolume(
	_ context.Context, request *csi.NodeUnstageVolumeRequest,
) (*csi.NodeUnstageVolumeResponse, error) {
	target := request.GetStagingTargetPath()
	if err := given(request.GetVolumeId() != "", target != ""); err != nil {
		return nil, err
	}
	return &csi.NodeUnstageVolumeResponse{}, d.unmount(target)
}

func (d *driver) NodePublishVolume(
	_ context.Context, request *csi.NodePublishVolumeRequest,
) (*csi.NodePublishVolumeResponse, error) {
	target, staging := request.GetTargetPath(), request.GetStagingTargetPath()
	lacks := given(request.GetVolumeId() != "", target != "", staging != "", request.GetVolumeCapability() != nil)
	if lacks != nil {
		return nil, lacks
	}
	d.mounts.Lock()
	defer d.mounts.Unlock()
	options := []string{"bind"}
	if request.GetReadonly() {
		options = append(options, "ro")
	}
	err := d.mountAt(target, func() error { return d.mounter.Mount(staging, target, "", options) })
	if err != nil {
		return nil, err
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func (d *driver) NodeUnpublishVolume(
	_ context.Context, request *csi.NodeUnpublishVolumeRequest,
) (*csi.NodeUnpublishVolumeResponse, error) {
	if err := given(request.GetVolumeId() != "", request.GetTargetPath() != ""); err != nil {
		return nil, err
	}
	return &csi.NodeUnpublishVolumeResponse{}, d.unmount(request.GetTargetPath())
}

func (d *driver) unmount(target string) error {
	d.mounts.Lock()
	defer d.mounts.Unlock()
	if err := mount.CleanupMountPoint(target, d.mounter, true); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return nil
}

// NodeExpandVolume lets what is on a disk grow to the disk's size, while Pods use it.
func (d *driver) NodeExpandVolume(
	_ context.Context, request *csi.NodeExpandVolumeRequest,
) (*csi.NodeExpandVolumeResponse, error) {
	if err := given(request.GetVolumeId() != "", request.GetVolumePath() != ""); err != nil {
		return nil, err
	}
	d.mounts.Lock()
	defer d.mounts.Unlock()
	size, err := d.pool.size(request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	if err := d.fill(request.GetVolumePath()); err != nil {
		return nil, err
	}
	return &csi.NodeExpandVolumeResponse{CapacityBytes: size}, nil
}

// fill gives the file system at a mount point all of its disk: the loop device first, which has the size that the file
// had when it was mounted.
func (d *driver) fill(path string) error {
	device, err := d.deviceAt(path)
	if err != nil {
		return err
	}
	if said, err := d.mounter.Exec.Command("losetup", "--set-capacity", device).CombinedOutput(); err != nil {
		return status.Errorf(codes.Internal, "losetup --set-capacity %s: %v: %s", device, err, said)
	}
	if _, err := mount.NewResizeFs(d.mounter.Exec).Resize(device, path); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return nil
}

// deviceAt is the loop device of a mount point.
func (d *driver) deviceAt(path string) (string, error) {
	points, err := d.mounter.List()
	if err != nil {
		return "", status.Error(codes.Internal, err.Error())
	}
	at := slices.IndexFunc(points, func(point mount.MountPoint) bool { return point.Path == path })
	if at < 0 {
		return "", status.Errorf(codes.NotFound, "nothing is mounted at %s", path)
	}
	return points[at].Device, nil
}

func (d *driver) NodeGetVolumeStats(
	_ context.Context, request *csi.NodeGetVolumeStatsRequest,
) (*csi.NodeGetVolumeStatsResponse, error) {
	if err := given(request.GetVolumeId() != "", request.GetVolumePath() != ""); err != nil {
		return nil, err
	}
	if _, err := d.pool.size(request.GetVolumeId()); err != nil {
		return nil, err
	}
	var found unix.Statfs_t
	if err := unix.Statfs(request.GetVolumePath(), &found); err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	block := int64(found.Bsize)
	return &csi.NodeGetVolumeStatsResponse{Usage: []*csi.VolumeUsage{
		{
			Unit:      csi.VolumeUsage_BYTES,
			Total:     int64(found.Blocks) * block,
			Available: int64(found.Bavail) * block,
			Used:      int64(found.Blocks-found.Bfree) * block,
		},
		{
			Unit:      csi.VolumeUsage_INODES,
			Total:     int64(found.Files),
			Available: int64(found.Ffree),
			Used:      int64(found.Files - found.Ffree),
		},
	}}, nil
}
