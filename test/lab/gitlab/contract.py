"""What python-gitlab, the client that most people script GitLab with, expects of the API."""

import os
import sys

import gitlab


def refused(code, action):
    try:
        action()
    except gitlab.exceptions.GitlabError as error:
        assert error.response_code == code, f"expected {code}, got {error.response_code}: {error}"
        return str(error)
    raise AssertionError(f"expected {code}, but the call succeeded")


gl = gitlab.Gitlab(os.environ["GITLAB_URL"], private_token=os.environ["GITLAB_TOKEN"])
gl.auth()
assert gl.user.username == "root" and gl.user.is_admin
assert gl.version()[0].count(".") == 2

group = gl.groups.create({"name": "Py", "path": "py"})
project = gl.projects.create({"name": "orders", "namespace_id": group.id, "initialize_with_readme": True})
assert gl.projects.get("py/orders").id == project.id
project.merge_method = "merge"
project.only_allow_merge_if_pipeline_succeeds = True
project.save()
refused(404, lambda: gl.projects.get("py/nothing"))
refused(400, lambda: gl.projects.create({"name": "orders", "namespace_id": group.id}))

user = gl.users.create({"username": "pia", "name": "Pia", "email": "pia@example.com", "force_random_password": True})
member = project.members.create({"user_id": user.id, "access_level": gitlab.const.AccessLevel.DEVELOPER})
member.access_level = gitlab.const.AccessLevel.MAINTAINER
member.save()
assert project.members_all.get(user.id).access_level == 40
refused(409, lambda: project.members.create({"user_id": user.id, "access_level": 30}))

hook = project.hooks.create({"url": "http://ci.example.com/x", "push_events": True, "merge_requests_events": True, "token": "t0ken"})
hook.tag_push_events = True
hook.save()
assert project.hooks.get(hook.id).tag_push_events is True
assert "token" not in hook.attributes

assert [rule.name for rule in project.protectedbranches.list(iterator=True)] == ["main"]
refused(409, lambda: project.protectedbranches.create({"name": "main"}))

file = project.files.create(
    {"file_path": "dir/a.txt", "branch": "topic", "start_branch": "main", "content": "one", "commit_message": "Add"}
)
file = project.files.get(file_path="dir/a.txt", ref="topic")
assert file.decode() == b"one"
file.content = "two"
file.save(branch="topic", commit_message="Change")
assert project.files.raw(file_path="dir/a.txt", ref="topic") == b"two"
assert [entry["path"] for entry in project.repository_tree(ref="topic", recursive=True, get_all=True)] == ["dir", "README.md", "dir/a.txt"]
refused(404, lambda: project.files.get(file_path="nope", ref="topic"))

mr = project.mergerequests.create({"source_branch": "topic", "target_branch": "main", "title": "Topic", "labels": ["a", "b"]})
assert mr.detailed_merge_status == "ci_must_pass", mr.detailed_merge_status
refused(405, lambda: mr.merge(sha=mr.sha))
commit = project.commits.get(mr.sha)
commit.statuses.create({"state": "running", "ref": "topic", "name": "switchyard"})
commit.statuses.create({"state": "success", "ref": "topic", "name": "switchyard", "target_url": "http://ci.example.com/1"})
assert [status.status for status in commit.statuses.list(iterator=True)] == ["success"]
assert project.pipelines.list(get_all=False)[0].source == "external"
assert project.mergerequests.get(mr.iid).head_pipeline["status"] == "success"

note = mr.notes.create({"body": "first"})
note.body = "second"
note.save()
assert [n.body for n in mr.notes.list(iterator=True)] == ["second"]
mr.title = "Topic, again"
mr.save()
assert len(list(mr.commits())) == 2

refused(409, lambda: mr.merge(sha="0" * 40))
mr.merge(sha=mr.sha, should_remove_source_branch=True)
assert project.mergerequests.get(mr.iid).state == "merged"
refused(404, lambda: project.branches.get("topic"))

issue = project.issues.create({"title": "Drift", "description": "two differ", "labels": ["drift"]})
assert (issue.iid, issue.state, issue.labels) == (1, "opened", ["drift"])
issue.description = "one differs"
issue.save()
issue.notes.create({"body": "gone"})
issue.state_event = "close"
issue.save()
assert [i.iid for i in project.issues.list(state="closed", labels=["drift"], search="differs", iterator=True)] == [1]
assert project.issues.list(state="opened", get_all=True) == []
assert [n.body for n in project.issues.get(1).notes.list(iterator=True)] == ["gone"]
refused(400, lambda: project.issues.create({"title": "Later", "due_date": "2030-01-01"}))
refused(404, lambda: project.issues.get(2))

key = project.keys.create({"title": "k", "key": "ssh-ed25519 " + "A" * 68})
key.delete()
token = project.access_tokens.create({"name": "bot", "scopes": ["api"], "access_level": 40, "expires_at": os.environ["EXPIRES"]})
bot = gitlab.Gitlab(os.environ["GITLAB_URL"], private_token=token.token)
bot.auth()
assert bot.user.bot is True
token.rotate()
refused(401, bot.auth)
variable = project.variables.create({"key": "A", "value": "1"})
variable.value = "2"
variable.save()
assert project.variables.get("A").value == "2"
label = project.labels.create({"name": "bug", "color": "#ff0000"})
label.color = "#00ff00"
label.save()

settings = gl.settings.get()
settings.allow_local_requests_from_web_hooks_and_services = True
settings.save()

project.delete()
group.delete()
print("contract held")
sys.exit(0)
