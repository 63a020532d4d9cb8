// Package v2 stands in for one file of the provider's SDK in Go, yaml/v2/kinds.go, which names every kind of Kubernetes
// by its own type: 148 cases and a fallback, all of this one form (read in sdk/v4 4.22.2). The provider itself needs
// no types: without them 60 packages less are compiled, half of its compile time, and its file is 94 MB instead of 165.
package v2

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// RegisterResource registers an object of a YAML file as the resource of its kind.
func RegisterResource(ctx *pulumi.Context, apiVersion, kind, name string, props pulumi.Input,
	opts ...pulumi.ResourceOption) (pulumi.CustomResource, error) {
	group := apiVersion
	if group == "v1" {
		group = "core/v1"
	}
	var resource pulumi.CustomResourceState
	err := ctx.RegisterResource(fmt.Sprintf("kubernetes:%s:%s", group, kind), name, props, &resource, opts...)
	if err != nil {
		return nil, err
	}
	return &resource, nil
}
