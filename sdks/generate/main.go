// Command generate makes the Node.js SDK of the GitLab package with Pulumi's own code generator.
//
//	generate trim <full schema> <trimmed schema>   keep what Switchyard uses of the official schema
//	generate sdk  <trimmed schema> <folder>        write the TypeScript sources of @pulumi/gitlab
//
// run.ts beside this file drives both and compiles the sources.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/pkg/v3/codegen/nodejs"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

// The official schema carries no version of its own: the plug-in that serves it fills it in.
const version = "10.1.1"

// kept are the resources that the topology uses, or plausibly will for its approvals and quality gates.
var kept = []string{
	"BranchProtection", "DeployKey", "Group", "GroupAccessToken", "GroupMembership", "PersonalAccessToken",
	"Project", "ProjectAccessToken", "ProjectApprovalRule", "ProjectDeployToken", "ProjectHook", "ProjectLabel",
	"ProjectLevelMrApprovals", "ProjectMembership", "ProjectPushRules", "ProjectVariable", "RepositoryFile",
	"TagProtection", "User",
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "generate: "+err.Error())
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: generate trim|sdk <from> <to>")
	}
	switch args[0] {
	case "trim":
		return trim(args[1], args[2])
	case "sdk":
		return sdk(args[1], args[2])
	}
	return fmt.Errorf("unknown command %q: it is trim or sdk", args[0])
}

// trim works on plain JSON, not on schema.PackageSpec, so that it loses no field that this version of the
// generator does not know.
func trim(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var full map[string]any
	if err := json.Unmarshal(content, &full); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	resources, _ := full["resources"].(map[string]any)
	types, _ := full["types"].(map[string]any)
	keptResources, keptTypes := map[string]any{}, map[string]any{}
	for token, resource := range resources {
		if slices.Contains(kept, token[strings.LastIndex(token, ":")+1:]) {
			keptResources[token] = resource
		}
	}
	if len(keptResources) != len(kept) {
		return fmt.Errorf("%s: has %d of the %d resources that are to be kept", from, len(keptResources), len(kept))
	}
	provider, _ := full["provider"].(map[string]any)
	delete(provider, "methods") // they refer to functions, which are not kept
	for _, root := range []any{keptResources, provider, full["config"]} {
		if err := reach(root, types, keptTypes); err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
	}
	dropDescriptions(keptResources, false)
	dropDescriptions(keptTypes, false)
	full["version"] = version
	full["attribution"] = "Trimmed from the schema of the official Pulumi GitLab package " + version +
		", Apache-2.0, (c) Pulumi Corporation. The package is a derived work of the Terraform provider for GitLab, MPL-2.0."
	full["resources"], full["types"] = keptResources, keptTypes
	delete(full, "functions")
	languages, _ := full["language"].(map[string]any)
	full["language"] = map[string]any{"nodejs": languages["nodejs"]}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(full); err != nil {
		return err
	}
	return os.WriteFile(to, out.Bytes(), 0o644)
}

// reach copies into kept every type that node refers to, directly or through other types.
func reach(node any, types, kept map[string]any) error {
	switch value := node.(type) {
	case map[string]any:
		if ref, ok := value["$ref"].(string); ok {
			token, local := strings.CutPrefix(ref, "#/types/")
			if _, done := kept[token]; local && !done {
				found, ok := types[token]
				if !ok {
					return fmt.Errorf("%s is referred to but not in types", ref)
				}
				kept[token] = found
				if err := reach(found, types, kept); err != nil {
					return err
				}
			}
		}
		for _, child := range value {
			if err := reach(child, types, kept); err != nil {
				return err
			}
		}
	case []any:
		for _, child := range value {
			if err := reach(child, types, kept); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropDescriptions removes prose, but not a property that happens to be called "description" (inNames).
func dropDescriptions(node any, inNames bool) {
	switch value := node.(type) {
	case map[string]any:
		if _, prose := value["description"].(string); prose && !inNames {
			delete(value, "description")
		}
		for key, child := range value {
			dropDescriptions(child, key == "properties" || key == "inputProperties")
		}
	case []any:
		for _, child := range value {
			dropDescriptions(child, false)
		}
	}
}

func sdk(from, folder string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var spec schema.PackageSpec
	if err := json.Unmarshal(content, &spec); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	pkg, err := schema.ImportSpec(spec, map[string]schema.Language{"nodejs": nodejs.Importer}, noOther{}, schema.ValidationOptions{})
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	files, err := nodejs.GeneratePackage("pulumi-language-nodejs", pkg, nil, nil, false, nil)
	if err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// noOther is the loader of a schema that refers to no other package.
type noOther struct{}

func (noOther) LoadPackage(name string, _ *semver.Version) (*schema.Package, error) {
	return nil, fmt.Errorf("the schema refers to package %q, which this generator does not load", name)
}

func (l noOther) LoadPackageV2(_ context.Context, d *schema.PackageDescriptor) (*schema.Package, error) {
	return l.LoadPackage(d.Name, d.Version)
}
