// Package zxcvbn stands in the place of a library whose dictionaries every start of the Pulumi CLI parses: 80 ms of a
// processor, a third of what its small commands take. All that Pulumi asks it is whether a value that `pulumi config set`
// gets in plain text looks like a secret, which the lab never says.
package zxcvbn

// Match is what Pulumi reads of a judgement.
type Match struct{ Entropy float64 }

// PasswordStrength is refused: the lab's Pulumi cannot tell.
func PasswordStrength(string, []string) Match {
	panic("the lab's Pulumi is built without zxcvbn: say `pulumi config set --secret` or `--plaintext`")
}
