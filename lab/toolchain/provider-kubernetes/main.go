// The official Pulumi provider of Kubernetes, as its own main.go starts it (pulumi/pulumi-kubernetes,
// provider/cmd/pulumi-resource-kubernetes). Its schema comes out of the module when it is built.
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

//go:embed schema.json
var schema []byte

//go:embed terraform-mapping.json
var mapping []byte

var version string

func main() { provider.Serve("kubernetes", version, schema, mapping) }
