// Command ferretdb serves MongoDB's wire protocol over SQLite through
// FerretDB's embeddable package: FerretDB's own command needs a version file
// that its module does not carry, and panics.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "0.0.0.0:27017", "address to serve on, host:port")
	data := flag.String("data", "/data/db", "folder of the SQLite files; it must exist")
	flag.Parse()
	if info, err := os.Stat(*data); err != nil || !info.IsDir() {
		log.Fatalf("ferretdb: -data %s is not a folder; mount a volume there", *data)
	}
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: *listen},
		Handler:   "sqlite",
		SQLiteURL: "file:" + *data + "/",
	})
	if err != nil {
		log.Fatalf("ferretdb: %v", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := server.Run(ctx); err != nil {
		log.Fatalf("ferretdb: %v", err)
	}
}
