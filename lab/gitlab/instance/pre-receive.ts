/**
 * No pointer of Git LFS may come without its object (`lib/gitlab/checks/lfs_check.rb`, `lfs_integrity.rb`). GitLab asks
 * Gitaly for the pointers among the quarantined objects (`blob_service.rb`), which knows them as `IsLFSPointer` does, of
 * 200 bytes at most. What is refused for its ref is told first (`changes_access.rb`). SWITCHYARD_LFS is a file of the oids
 * that are there, one a line; unset where Git LFS is off.
 */
const LFS_CHECK = `if [ -n "$SWITCHYARD_LFS" ] && [ -n "$GIT_QUARANTINE_PATH" ]; then
  come() { GIT_OBJECT_DIRECTORY=$GIT_QUARANTINE_PATH GIT_ALTERNATE_OBJECT_DIRECTORIES= git cat-file "$@"; }
  come --batch-all-objects --batch-check='%(objecttype) %(objectsize) %(objectname)' | while read -r type size id; do
    [ "$type" = blob ] && [ "$size" -ge 120 ] && [ "$size" -le 200 ] || continue
    come blob "$id" | {
      IFS= read -r first
      case $first in "version https://git-lfs.github.com/spec"*) ;; *) exit 0 ;; esac
      rest=$(cat)
      oid=$(printf '%s\\n' "$rest" | sed -n 's/^oid sha256:\\([0-9a-f]\\{64\\}\\)$/\\1/p' | head -n 1)
      [ -n "$oid" ] && printf '%s\\n' "$rest" | grep -q '^size [0-9][0-9]*$' || exit 0
      grep -qx "$oid" "$SWITCHYARD_LFS"
    } || exit 1
  done || {
    echo 'GitLab: LFS objects are missing. Ensure LFS is properly set up or try a manual "git lfs push --all".' >&2
    exit 1
  }
fi`;

/**
 * Runs inside git's quarantine, so it sees the new objects before they are accepted. The rules arrive as
 * lines `kind push force pattern` in SWITCHYARD_RULES, already decided for the user who pushes.
 */
export const PRE_RECEIVE = `#!/bin/sh
zero=0000000000000000000000000000000000000000
refuse() { echo "GitLab: $1" >&2; exit 1; }
while read -r old new ref; do
  case $ref in
    refs/heads/*) kind=branch name=\${ref#refs/heads/} ;;
    refs/tags/*) kind=tag name=\${ref#refs/tags/} ;;
    *) refuse "You are not allowed to change $ref: only branches and tags can be pushed." ;;
  esac
  protected=0 push=0 force=1
  while read -r rule_kind rule_push rule_force pattern; do
    [ "$rule_kind" = "$kind" ] || continue
    case $name in
      $pattern)
        protected=1
        [ "$rule_push" = 1 ] && push=1
        [ "$rule_force" = 1 ] || force=0 ;;
    esac
  done <<RULES
$SWITCHYARD_RULES
RULES
  if [ "$kind" = branch ]; then
    if [ "$new" = "$zero" ]; then
      [ "$name" = "$SWITCHYARD_DEFAULT_BRANCH" ] && refuse "The default branch of a project cannot be deleted."
      if [ "$protected" = 1 ]; then
        [ "$SWITCHYARD_MAINTAINER" = 1 ] || refuse "You are not allowed to delete protected branches from this project. Only a project maintainer or owner can delete a protected branch."
        refuse "You can only delete protected branches using the web interface."
      fi
    elif [ "$protected" = 1 ]; then
      if [ "$old" != "$zero" ] && [ -n "$(git rev-list --max-count=1 "$old" "^$new")" ] && [ "$force" = 0 ]; then
        refuse "You are not allowed to force push code to a protected branch on this project."
      fi
      [ "$push" = 1 ] || refuse "You are not allowed to push code to protected branches on this project."
    fi
  else
    if [ "$protected" = 1 ]; then
      [ "$new" = "$zero" ] && refuse "Protected tags cannot be deleted."
      [ "$old" = "$zero" ] || refuse "Protected tags cannot be updated."
      [ "$push" = 1 ] || refuse "You are not allowed to create this tag as it is protected."
    elif [ "$old" != "$zero" ] && [ "$SWITCHYARD_MAINTAINER" != 1 ]; then
      refuse "You are not allowed to change existing tags on this project."
    fi
  fi
done
${LFS_CHECK}
exit 0
`;
