"""Scripts and READMEs with calls of grpcurl in them: read as their shell would, and nothing lost in silence."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paycli.errors import DocumentError
from paycli.scenarios.contracts import Contracts
from paycli.scenarios.recording.commands import Marks
from paycli.scenarios.recording.grpcurl import read_grpcurl
from paycli.scenarios.recording.seen import LeftOut, Seen
from paycli.scenarios.recording.shell import Shell
from paycli.scenarios.recording.suite import make_suite
from paycli.scenarios.recording.text import suite_text
from paycli.scenarios.suite import read_suite
from tests.conftest import Server, run_paycli

PAY = "localhost:1 payment.PaymentService/ProcessPayment"
CALL = f"""grpcurl -plaintext -d '{{"order_id": "a"}}' {PAY}"""
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WORDS = (
    *("a", "-d", "'x y'", "'it'\\''s'", '"q\\"r"', '"\\$A"', '"$A"', "'$A'", "${A}"),
    *("a#", "=", '"${1:-d e}"', '"${1:-}}"', "${A:-x}", "$'t\\tn\\'q\\x41\\u00e9\\101'"),
    *("\\ ", '\\"', "\\'", "\\\\", '"\\\\ \\n"', '"a\nb"', '"a\\\nb"', "'a\nb'", "\\\n"),
    *('$"A $A"', "{1}", "é", "\"$(echo 'x y')\"", "$(echo 'x y')", '"`echo \\"z\\"`"'),
    *("`echo z`", '"$(printf %s "a\'b")"', '"$(cat <<\'Q\'\n{"k": "$v"}\nQ\n)"'),
    *('"$(cat <<Q\n{"k": "$A \\$"}\nQ\n)"', '"${R[@]}"', '"${R[*]}"', "${R[@]}", "${R}"),
    *('"x${R[@]}y"', '"${M[@]}"', "${M}"),
)
ENDS = (
    *("", " | cat", " > /dev/null 2>&1", " || :", " && :", " # it's", "; :", " &>/dev/null"),
    *(" <<< 'x'", " <<E\nit's $A\nE", " <<-'E' | cat\n\tit's $(\n\tE", " < /dev/null"),
)


def entries_of(text: str, name: str = "lines") -> list[Seen | LeftOut]:
    return read_grpcurl(text, name, Contracts())[0]


def requests_of(text: str, name: str = "lines") -> list[Any]:
    return [each.requests[0] for each in entries_of(text, name) if isinstance(each, Seen)]


def text_of(lines: str) -> str:
    return suite_text(make_suite(entries_of(lines), 0), "here")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from([" ", "", "\t", " \\\n "]))),
    st.sampled_from(ENDS),
)
def test_words_are_those_of_bash(pieces: list[tuple[str, str]], end: str) -> None:
    line = f"A='q r'; R=(1 '2 3'\n 4); M=()\ngrpcurl {''.join(map(''.join, pieces))}{end}\n"
    shows = "grpcurl() { for each; do printf '%s\\0' \"$each\"; done >&3; }\n"
    bash = subprocess.run(
        ["bash", "--norc", "-c", f"{{\n{shows}{line}}} 3>&1 >/dev/null"],
        capture_output=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        check=True,
    )
    commands = Shell(line, 1, Marks(), {}).commands()
    (words,) = (each.words[1:] for each in commands if each.words[:1] == ["grpcurl"])
    assert words == bash.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize(
    ("count", "script"),
    [
        (1, f"#!/bin/sh\nset -eu # it's\necho \"don't\"\n{CALL} | jq . > out.json 2>&1"),
        (1, f"if ! {CALL} >/dev/null; then\n  echo 'it is down'; exit 1\nfi"),
        (1, f"TOKEN=x {CALL} && echo ok || exit 1"),
        (
            3,
            f"time {CALL}; sudo -E {CALL.replace('grpcurl', '/usr/bin/grpcurl')} & timeout 5 {CALL}",
        ),
        (2, f"PAID=$({CALL} | jq -r .paymentId)\nOLD=`{CALL}`"),
        (1, f"pay() {{\n  local to='localhost:1'\n  {CALL.replace('localhost:1', '$to')}\n}}"),
        (1, f"function pay {{ {CALL}; }}; tar xz grpcurl -C bin"),
        (1, f"A=`echo {{`; B=`echo '}}'`\ngrpcurl -d \"$A'order_id': a$B\" {PAY}"),
        (1, f"case $1 in\n  pay|buy) {CALL} ;;\nesac"),
        (1, f'echo \'{{"order_id": "a"}}\' | \\\n  grpcurl -d @ {PAY}'),
        (1, f'cat <<EOF |\n{{"order_id": "a"}}\nEOF\n  grpcurl -d @ {PAY}'),
        (1, f'grpcurl -d @ {PAY} <<-\'EOF\' 2>&1 | tee log\n\t{{"order_id":\n\t "a"}}\n\tEOF'),
        (1, f'DATA="$(cat <<\'E\'\n{{"order_id": "a"}}\nE\n)"\ngrpcurl -d "$DATA" {PAY}'),
        (1, f"cat > notes <<E\nit's\n{CALL}\nE\n{CALL}"),
        (1, f"echo 'there is no end\n{CALL}"),
        (1, f"docker pull fullstorydev/grpcurl\ndocker run -i fullstorydev/{CALL}"),
        (1, f"docker run --rm --name grpcurl fullstorydev/{CALL.replace('grpcurl', 'grpcurl:v1')}"),
        (
            1,
            f'GRPCURL=${{GRPCURL:-grpcurl}}\nOPTS=(-v\n  -max-time 5)\n$GRPCURL "${{OPTS[@]}}" {CALL[8:]}',
        ),
        (1, f"which grpcurl\napt-get install -y grpcurl jq\n{CALL}"),
        (1, f"{CALL}\ngrpcurl -- localhost:1 list"),
    ],
)
def test_calls_are_found_where_scripts_have_them(count: int, script: str) -> None:
    assert requests_of(script) == [{"order_id": "a"}] * count


def test_files_are_those_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.json").write_text('{"order_id": "a"}\n')
    ways = (f"grpcurl -d @ {PAY} < a.json", f"cat a.json | grpcurl -d @ {PAY}")
    assert (
        requests_of("\n".join((*ways, f'grpcurl -d "$(cat a.json)" {PAY}')))
        == [{"order_id": "a"}] * 3
    )


MARKDOWN = f"""# It's easy
```sh
brew install grpcurl
{CALL}
```
Don't:

1. ```console
   $ {CALL.replace("-d", chr(92) + chr(10) + "       -d")}
   ERROR: it's declined
   ada@box:~$ grpcurl localhost:1 list
   C:\\Users\\Ada>{CALL}
   ```
```json
{CALL}
```
"""


@pytest.mark.parametrize("text", [MARKDOWN, MARKDOWN.replace("\n", "\r\n")])
def test_code_in_markdown_is_read_and_what_was_answered_is_not(text: str) -> None:
    assert requests_of(text) == [{"order_id": "a"}] * 3
    listed = entries_of(text)[2]
    assert listed == LeftOut("grpcurl localhost:1 list", "it calls nothing", "lines:12")


def test_variables_are_those_of_the_environment() -> None:
    text = text_of(
        "CURRENCY=EUR; USER=u\n"
        'grpcurl -H "authorization: Bearer $TOKEN" -H "x-api-key: k1-$KEY" -H "cookie: id=$ID" -expand-headers'
        """ -H 'x-shop: ${SHOP}' -d "{\\"order_id\\": \\"o-$ORDER\\", \\"amount\\": ${AMOUNT:-5},"""
        f""" \\"currency\\": \\"$CURRENCY\\", \\"user_id\\": \\"\\$5\\"}}" $HOST {PAY.split()[1]}"""
    )
    assert "Set in the environment to run this: ORDER, AMOUNT, TOKEN, KEY, ID, SHOP." in text
    for said in (
        *(
            'order_id: "o-${env:ORDER}"',
            'amount: "${env:AMOUNT}"',
            "currency: EUR",
            'user_id: "$5"',
        ),
        *('"Bearer ${env:TOKEN}"', '"${env:X_API_KEY}${env:KEY}"', 'x-shop: "${env:SHOP}"'),
        'cookie: "id=${env:ID}"',
    ):
        assert said in text


@given(TEXTS, TEXTS.filter(lambda value: "\0" not in value), TEXTS)
def test_a_suite_says_what_the_line_said_with_its_variable(
    tmp_path_factory: pytest.TempPathFactory, before: str, value: str, after: str
) -> None:
    left, right = (json.dumps(each, ensure_ascii=False)[1:-1] for each in (before, after))
    data = (shlex.quote(each) for each in (f'{{"user_id": "{left}', f'{right}"}}'))
    quoted = '"$V"'.join(data)
    made = make_suite(entries_of(f"grpcurl -d {quoted} {PAY}"), 0)
    if made.left_out:
        assert "${" in before or "${" in after
        return
    path = tmp_path_factory.getbasetemp() / "variable.yaml"
    path.write_text(suite_text(made, "here"), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("V", value)
        (step,) = read_suite(path).steps
    sent: Any = step
    assert sent.requests == ({"user_id": before + value + after},)


def test_a_piece_of_a_text_is_no_key() -> None:
    text = text_of(f'{CALL}\ngrpcurl -d "{{\\"order_id\\": \\"a$X\\"}}" {PAY}')
    assert re.findall(r"request: (.*)", text) == [
        *('{order_id: "${order_id}"}', '{order_id: "a${env:X}"}')
    ]


def test_a_key_that_is_computed_is_a_new_one_in_each_run() -> None:
    lines = "ID=$(uuidgen)\n" + "".join(
        f'grpcurl -H "authorization: Bearer $(login)" -d "{{\\"order_id\\": \\"{each}\\"}}" {PAY}\n'
        for each in ("o-$(date +%s)", "o-`date`", "$ID", "$ID")
    )
    text = text_of(lines)
    assert re.findall(r"request: \{order_id: (.*)\}", text) == [
        *('"${order_id}"', '"${order_id_2}"', '"${order_id_3}"', '"${order_id_3}"')
    ]
    assert 'order_id: "o-${uuid}"' in text
    assert text.count('"${env:AUTHORIZATION') == 4


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            f'grpcurl -d "{{\\"user_id\\": \\"$(whoami)\\"}}" {PAY}',
            "what whoami writes is known only",
        ),
        (f'grpcurl -d "{{\\"user_id\\": \\"$1\\"}}" {PAY}', "$1 is known only when it runs"),
        (
            f'grpcurl -d "{{\\"user_id\\": \\"${{A%x}}\\"}}" {PAY}',
            "${A…} is known only when it runs",
        ),
        (f'grpcurl -d "$DATA" {PAY}', "all of its data is $DATA, which is not known here"),
        (f'grpcurl -d "{{\\"$A\\": 1}}" {PAY}', "a name in its data is not known here"),
        (
            f'grpcurl -d "{{\\"user_id\\": \\"$A\\", \\"currency\\": \\"\\${{B}}\\"}}" {PAY}',
            "its request has a '${'",
        ),
        (
            f'grpcurl -d "{{\\"amont\\": \\"$A\\"}}" {PAY}',
            "payment.PaymentRequest has no field 'amont'",
        ),
        (f"jq -n . | grpcurl -d @ {PAY}", "-d @: what jq writes is known only when it runs"),
        (f"grpcurl -d @ {PAY} < nothing.json", "-d @: nothing.json: no such file"),
        (f"grpcurl -d @ {PAY} < <(date)", "-d @: $(…): no such file"),
        (f"grpcurl $FLAGS {PAY}", "$FLAGS may be flags, and is not known here"),
        ("grpcurl localhost:1 $SERVICE/Pay", "its method is not known here"),
        (f'grpcurl -max-time "$T" {PAY}', "its -max-time is $T, which is not known here"),
        (f"grpcurl -H 'x-bin: AAA' {PAY}", "its metadata has x-bin, which suites do not send so"),
        (f"ssh box '\n{CALL}'", "another command would run it"),
        (f"xargs {CALL}", "another command would run it"),
        (f"grpcurl -plaintex {PAY}", "the flag -plaintex is not known here; did you mean"),
        (f"grpcurl -d @ {PAY} <<E\n", "there is no line 'E' that ends what is after '<<'"),
        (f"grpcurl {PAY} $(\n(", "the command has no end: nothing closes its '$('"),
        ("grpcurl -version", "it calls nothing"),
        ("grpcurl '", "the command has no end: No closing quotation"),
        ("grpcurl localhost:1 list a.B", "it calls nothing"),
    ],
)
def test_a_call_that_is_left_out_is_named_with_its_line_and_others_are_not(
    line: str, said: str
) -> None:
    first, left_out = entries_of(f"{CALL}\n{line}", "x.sh")[:2]
    assert isinstance(first, Seen)
    assert isinstance(left_out, LeftOut)
    assert left_out.where == "x.sh:2"
    assert said in left_out.why
    assert f"# not recorded: x.sh:2: {left_out.path}: " in suite_text(
        make_suite([first, left_out], 0), ""
    )


PIECES = (
    *("grpcurl ", "-plaintext ", "-d ", "@ ", "list ", "-H ", "'a: b' ", f"{PAY} ", f"{CALL}\n"),
    *("'", '"', "$", "${", "}", "`", "$(", "$((", "))", "(", ")", "[", "*", "\\", "\\\n", "\n"),
    *("<<EOF\n", "EOF\n", "{}\nEOF\n", "<<<", "<", "| ", "&& ", "; ", "if ", "fi\n", "A=1 "),
    *("$A ", "A=(", "# ", "```sh\n", "```\n", "$ ", "cat ", "echo ", "'{}' ", "$'", "\\u0000"),
    *("\\x00", "\0", "\r\n", "null ", "-expand-headers ", "'k: ${E}' ", '{"amount": $X}'),
    f'grpcurl -d "{{\\"order_id\\": \\"$A\\", \\"amount\\": $B}}" {PAY}\n',
    '\'{"order_id": "${uuid}"}\' ',
    '"{\\"user_id\\": null, \\"order_id\\": \\"o$(x)\\"}" ',
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=25).map("".join))
def test_any_text_is_a_suite_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    try:
        made = make_suite(entries_of(text.encode(errors="replace").decode()), 0)
    except DocumentError:
        return
    if not made.count:
        return
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(suite_text(made, "here"), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name in made.environment:
            patch.setenv(name, "5")
        assert len(read_suite(path).steps) == made.count


def test_a_script_runs_as_a_suite(server: Server, tmp_path: Path) -> None:
    (tmp_path / "pay.sh").write_text(
        "#!/bin/sh\ngrpcurl -plaintext $HOST list\n"
        'grpcurl -plaintext -d "{\\"order_id\\": \\"o-$(date +%s)\\", \\"amount\\": $AMOUNT,'
        f' \\"currency\\": \\"EUR\\", \\"user_id\\": \\"u\\"}}" $HOST {PAY.split()[1]} | jq .\n'
    )
    run = run_paycli("smoke", "import", "pay.sh", "--out", "suite.yaml", cwd=tmp_path)
    assert run.stderr == (
        "Left out: pay.sh:2: grpcurl $HOST list: it calls nothing\n"
        "1 step in suite.yaml; 1 call left out, as it says.\n"
        "It needs in its environment: AMOUNT.\n"
    )
    for amount, code in (("9.90", 0), ("-1", 1)):
        smoke = run_paycli(
            *("smoke", tmp_path / "suite.yaml", "--target", server.target), env={"AMOUNT": amount}
        )
        assert smoke.returncode == code, smoke.stdout
