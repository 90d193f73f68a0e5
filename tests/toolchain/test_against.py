"""The old side of `breaking`: real git repositories, directories, descriptor sets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from paycli.errors import InputError
from paycli.toolchain.breaking.former import Former, read_former
from paycli.toolchain.protos.protoc import compile_descriptors
from paycli.toolchain.protos.workspace import find_workspace
from paycli.toolchain.rules.buf_config import load_buf_config

OLD = 'syntax = "proto3";\npackage pay;\nmessage Old { string a = 1; }\n'
NEW = 'syntax = "proto3";\npackage pay;\nmessage New { string a = 1; }\n'


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    run = ("git", *identity, "-c", "commit.gpgsign=false", *arguments)
    return subprocess.run(run, cwd=folder, check=True, capture_output=True, text=True).stdout


def write(folder: Path, **protos: str) -> None:
    for name, body in protos.items():
        path = folder / f"{name}.proto"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body, encoding="utf-8")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits, then an edit and a staged edit that no command here may see or touch."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    folder = tmp_path / "repository"
    write(folder / "proto", pay=OLD)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "tag", "v1")
    write(folder / "proto", pay=NEW)
    git(folder, "commit", "-q", "-a", "-m", "second")
    git(folder, "update-ref", "refs/remotes/origin/main", "v1")
    write(folder / "proto", staged=OLD.replace("Old", "Staged"))
    git(folder, "add", ".")
    write(folder / "proto", pay=NEW.replace("New", "Edited"))
    return folder


def messages(former: Former) -> list[str]:
    return [message.name for file in former.descriptors.file for message in file.message_type]


def read(against: str, *roots: Path) -> Former:
    config = load_buf_config(None, roots)
    return read_former(against, config.workspace([]), config)


def refusal(against: str, *roots: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(against, *roots)
    return caught.value.message


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("HEAD", "New"),
        ("main", "New"),
        ("HEAD~1", "Old"),
        ("v1", "Old"),
        ("origin/main", "Old"),
        ("main^{/first}", "Old"),
        ("main@{0}", "New"),
    ],
)
def test_any_git_revision_is_read_and_nothing_is_touched(
    ref: str, expected: str, repository: Path
) -> None:
    index, status = repository / ".git/index", git(repository, "status", "--porcelain")
    before = index.read_bytes()
    former = read(ref, repository / "proto")
    assert messages(former) == [expected]
    assert former.paths == {"pay.proto": repository / "proto/pay.proto"}
    assert index.read_bytes() == before
    assert git(repository, "status", "--porcelain") == status
    assert (repository / "proto/pay.proto").read_text(encoding="utf-8").count("Edited") == 1


def test_a_revision_may_be_an_id_and_a_root_may_be_given_from_anywhere(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = git(repository, "rev-parse", "HEAD~1").strip()
    monkeypatch.chdir(repository / "proto")
    assert messages(read(commit[:10], Path())) == ["Old"]
    monkeypatch.chdir(repository)
    assert messages(read(commit, Path("proto"))) == ["Old"]
    monkeypatch.chdir("/")
    assert messages(read("v1", repository / "proto")) == ["Old"]


def test_a_hook_of_git_sets_variables_that_do_not_matter(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", ".git")
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/index")
    assert messages(read("v1", repository / "proto")) == ["Old"]


def test_attributes_links_and_odd_names_are_read_as_they_are(repository: Path) -> None:
    proto = repository / "proto"
    write(proto, **{"päy ment/a": OLD, "b": 'syntax = "proto3";\nimport "päy ment/a.proto";\n'})
    (proto / "link.proto").symlink_to("b.proto")
    (proto / "away.proto").symlink_to("/etc/hostname")
    (repository / ".gitattributes").write_text("*.proto export-ignore\n", encoding="utf-8")
    git(repository, "rm", "-q", "--cached", "proto/pay.proto")
    git(repository, "add", ".")
    git(repository, "rm", "-q", "--cached", "proto/staged.proto", "proto/pay.proto")
    git(repository, "commit", "-q", "-m", "odd")
    (proto / "away.proto").unlink()  # a link out of today's tree is refused
    former = read("HEAD", proto)
    assert former.paths.keys() == {"päy ment/a.proto", "b.proto", "link.proto"}


def test_several_roots_are_read_as_they_were(repository: Path) -> None:
    write(repository / "shared", money=OLD.replace("Old", "Money"))
    uses = 'syntax = "proto3";\nimport "money.proto";\nmessage Uses { pay.Money m = 1; }\n'
    write(repository / "proto", uses=uses)
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "two roots")
    former = read("HEAD", repository / "proto", repository / "shared")
    assert former.paths["money.proto"] == repository / "shared/money.proto"
    assert {"Money", "Uses"} <= set(messages(former))


def test_what_a_module_leaves_out_need_not_compile(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(repository / "proto/vendor", broken="syntax = ")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "vendor")
    (repository / "buf.yaml").write_text(
        "version: v2\nmodules: [{path: proto, excludes: [proto/vendor]}]\n", encoding="utf-8"
    )
    monkeypatch.chdir(repository)
    config = load_buf_config(None, [])
    for against in ("HEAD", "proto"):
        former = read_former(against, config.workspace([]), config)
        assert former.paths.keys() == {"pay.proto", "staged.proto"}


def test_a_tree_that_leads_out_of_itself_is_refused(repository: Path) -> None:
    tree = git(repository, "rev-parse", "HEAD:proto").strip()
    run = ("git", "mktree")
    listed = f"040000 tree {tree}\t..\n"
    made = subprocess.run(run, cwd=repository, input=listed, capture_output=True, text=True)
    commit = git(repository, "commit-tree", "-m", "out", made.stdout.strip()).strip()
    write(repository, top=NEW)
    assert refusal(commit, repository) == f"The tree {commit} holds the path ../pay.proto."


def test_what_exists_wins_over_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(repository / "v1", pay=OLD.replace("Old", "Directory"))
    monkeypatch.chdir(repository)
    assert messages(read("v1", Path("proto"))) == ["Directory"]
    assert messages(read("tags/v1", Path("proto"))) == ["Old"]


def test_a_descriptor_set_is_read_and_its_imports_are_not_ours(tmp_path: Path) -> None:
    body = OLD.replace("message", 'import "google/protobuf/any.proto";\nmessage')
    write(tmp_path / "proto", pay=body)
    workspace = find_workspace([tmp_path / "proto"], [])
    path = tmp_path / "old.binpb"
    path.write_bytes(compile_descriptors(workspace).SerializeToString())
    former = read(str(path), tmp_path / "proto")
    assert former.paths == {"pay.proto": tmp_path / "proto/pay.proto"}
    assert {"Old", "Any"} == set(messages(former))


def test_no_git_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    write(tmp_path / "proto", pay=NEW)
    for against in ("main", "no/such/directory"):
        assert refusal(against, tmp_path / "proto") == (
            f"--against {against} is no path that exists, and {tmp_path / 'proto'} lies in no git "
            "repository; name a directory of protos or a descriptor set."
        )


def test_no_git_at_all(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert refusal("main", repository / "proto") == (
        "--against main is no path that exists, and git, which may know it as a revision, is not "
        "installed; install git, or name a directory of protos or a descriptor set."
    )


@pytest.mark.parametrize("ref", ["nope", "HEAD~9", "--since=now", "HEAD:proto", "v1\n"])
def test_no_such_revision(ref: str, repository: Path) -> None:
    assert refusal(ref, repository / "proto") == (
        f"--against {ref} is no path that exists, and git knows no such commit around "
        f"{repository / 'proto'}; 'git fetch' gets what only the remote has."
    )


def test_a_tree_is_no_commit(repository: Path) -> None:
    tree = git(repository, "rev-parse", "HEAD:proto").strip()
    assert "git knows no such commit" in refusal(tree, repository / "proto")


def test_an_unset_variable_is_not_the_folder_here(repository: Path) -> None:
    assert refusal("", repository / "proto").startswith("--against is empty;")


def test_a_revision_as_buf_writes_it_is_translated(repository: Path) -> None:
    said = refusal(".git#branch=main", repository / "proto")
    assert said.endswith("; what buf calls '.git#branch=main' is 'main' here.")


def test_a_shallow_clone_says_that_it_is_one(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth=1", repository.as_uri(), "clone")
    said = refusal("HEAD~1", tmp_path / "clone/proto")
    assert "the clone is shallow: fetch more of it with 'git fetch --unshallow'" in said


def test_no_proto_at_that_revision(repository: Path) -> None:
    write(repository / "later", pay=NEW)
    later = repository / "later"
    assert refusal("HEAD", later) == f"There was no .proto file in {later} at HEAD."


def test_an_old_side_that_does_not_compile(repository: Path, tmp_path: Path) -> None:
    proto = repository / "proto"
    write(proto, pay='syntax = "proto3";\nmessage M { Nothing a = 1; }\n')
    git(repository, "commit", "-q", "-a", "-m", "broken")
    write(proto, pay=NEW)
    assert refusal("HEAD", proto) == (
        "The old side, HEAD, does not compile:\n"
        'HEAD:proto/pay.proto:2:13: "Nothing" is not defined.\n'
        "    message M { Nothing a = 1; }\n"
        "                ^"
    )
    write(tmp_path / "old", pay="syntax = ")
    said = refusal(str(tmp_path / "old"), proto)
    assert said.startswith(f"The old side, {tmp_path / 'old'}, does not compile:\n{tmp_path}/old/")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("text", b"hello", "is no descriptor set; make one with 'protoc --include_imports"),
        ("json", b"{}\n", "is no descriptor set; make one"),
        ("empty", b"", "has no file in it; make one"),
        ("pay.proto", OLD.encode(), "is a proto; name the directory of the old protos instead."),
        # A valid message of the wrong type: field 1 is there, but it is no file.
        ("other", b"\x0a\x03abc", "is no descriptor set; make one"),
    ],
)
def test_a_file_that_is_no_descriptor_set(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    write(tmp_path / "proto", pay=NEW)
    (tmp_path / name).write_bytes(content)
    assert refusal(str(tmp_path / name), tmp_path / "proto").startswith(f"{tmp_path / name} {said}")


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    write(tmp_path / "proto", pay=NEW)
    said = refusal("x" * 5000, tmp_path / "proto")
    assert said.endswith("xxx: File name too long.")


def test_a_directory_without_protos(tmp_path: Path) -> None:
    write(tmp_path / "proto", pay=NEW)
    (tmp_path / "empty").mkdir()
    said = refusal(str(tmp_path / "empty"), tmp_path / "proto")
    assert said == f"There is no .proto file in {tmp_path / 'empty'}, the old side."


@pytest.mark.skipif(sys.platform == "win32", reason="there are no FIFOs")
def test_something_that_is_neither_file_nor_directory(tmp_path: Path) -> None:
    write(tmp_path / "proto", pay=NEW)
    os.mkfifo(tmp_path / "pipe")
    said = refusal(str(tmp_path / "pipe"), tmp_path / "proto")
    assert said == f"{tmp_path / 'pipe'} is neither a directory of protos nor a descriptor set."
