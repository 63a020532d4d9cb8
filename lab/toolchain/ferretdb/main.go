// Command ferretdb serves MongoDB's wire protocol over SQLite as FerretDB's
// embeddable package does, and asks for logins besides: that package has no
// setting for it, and FerretDB's own command needs a version file that its
// module does not carry, and panics. What it takes for it is internal to
// FerretDB's module, so this one is called as a part of it.
//
// With MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD every command
// but those of connecting and logging in is refused without a login, and the
// account is made in an empty folder only, as the official image of MongoDB
// does it (docker-entrypoint.sh of docker-library/mongo).
package main

import (
	"context"
	"flag"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/FerretDB/FerretDB/internal/clientconn"
	"github.com/FerretDB/FerretDB/internal/clientconn/connmetrics"
	"github.com/FerretDB/FerretDB/internal/handler/registry"
	"github.com/FerretDB/FerretDB/internal/util/password"
	"github.com/FerretDB/FerretDB/internal/util/state"
)

func fail(err error) {
	if err != nil {
		log.Fatalf("ferretdb: %v", err)
	}
}

func main() {
	listen := flag.String("listen", "0.0.0.0:27017", "address to serve on, host:port")
	data := flag.String("data", "/data/db", "folder of the SQLite files; it must exist")
	flag.Parse()
	if info, err := os.Stat(*data); err != nil || !info.IsDir() {
		log.Fatalf("ferretdb: -data %s is not a folder; mount a volume there", *data)
	}
	user, secret := os.Getenv("MONGO_INITDB_ROOT_USERNAME"), os.Getenv("MONGO_INITDB_ROOT_PASSWORD")
	if (user == "") != (secret == "") {
		log.Fatal("ferretdb: MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD go together; give both or neither")
	}
	held, err := filepath.Glob(filepath.Join(*data, "*.sqlite"))
	fail(err)

	provider, err := state.NewProvider("")
	fail(err)
	fail(provider.Update(func(s *state.State) {
		s.DisableTelemetry()
		s.TelemetryLocked = true
	}))
	metrics := connmetrics.NewListenerMetrics()
	opts := &registry.NewHandlerOpts{
		Logger:        slog.Default(),
		ConnMetrics:   metrics.ConnMetrics,
		StateProvider: provider,
		TCPHost:       *listen,
		SQLiteURL:     "file:" + *data + "/",
		TestOpts: registry.TestOpts{
			CappedCleanupPercentage: 10,
			BatchSize:               100,
			EnableNewAuth:           user != "",
		},
	}
	if user != "" && len(held) == 0 {
		opts.SetupDatabase = "admin"
		opts.SetupUsername = user
		opts.SetupPassword = password.WrapPassword(secret)
	}
	handler, closeBackend, err := registry.NewHandler("sqlite", opts)
	fail(err)
	defer closeBackend()
	listener, err := clientconn.Listen(&clientconn.NewListenerOpts{
		TCP:     *listen,
		Mode:    clientconn.NormalMode,
		Metrics: metrics,
		Handler: handler,
		Logger:  slog.Default(),
	})
	fail(err)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	listener.Run(ctx)
}
