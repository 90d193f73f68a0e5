"""The commands of a script, read by the rules of its shell (POSIX sh, and what bash adds); none is run."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Final

from paycli.scenarios.recording.commands import Command, Marks, NotKnown, Unknown
from paycli.scenarios.recording.escapes import unescaped

_END: Final = re.compile(r"&&|\|\||;;&|;;|;&|\|&|[;&|()\n]")
_JOINS: Final = ("|", "|&", "&&", "||")
_REDIRECTION: Final = re.compile(r"([0-9]*|\{\w+\}|&)(<<<|<<-?|<>|<&|<|>>|>&|>\||>)(?!\()")
_DELIMITER: Final = re.compile(r"""[ \t]*((?:'[^'\n]*'|"[^"\n]*"|\\.|[^\s;&|()<>'"\\])+)""")
_BLANK: Final = re.compile(r"(?:[ \t]|\\\n)+")
_PLAIN: Final = re.compile(r"[^ \t\n'\"\\$`;&|()<>]+")
_PLAIN_IN_QUOTES: Final = re.compile(r'[^"\\$`]+')
_PLAIN_IN_BRACES: Final = re.compile("[^}'\"\\\\$`]+")
_IN_BACKTICKS: Final = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL)
_BRACED: Final = re.compile(r"\$\{([#!]?)(\w+|[@*#?$!-])(\[[^]\n]*\])?(:?[-=?+])?", re.ASCII)
_NAMED: Final = re.compile(r"\$([A-Za-z_]\w*|[0-9@*#?$!-])", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_OF_THE_SHELL: Final = ("RANDOM", "SRANDOM", "SECONDS", "LINENO", "EPOCHSECONDS")
_ARRAY: Final = re.compile(r"([A-Za-z_]\w*)(\+?)=\(", re.ASCII)
_ASSIGNED: Final = re.compile(r"([A-Za-z_]\w*)(\+?)=(.*)", re.ASCII | re.DOTALL)
_DECLARE: Final = ("export", "readonly", "local", "declare", "typeset")
_BEGIN: Final = ("if", "case", "for", "while", "until", "select")
_DONE: Final = ("fi", "esac", "done")
_RESERVED: Final = (*_BEGIN, *_DONE, "then", "elif", "else", "do", "!", "{", "}", "function")
_IN_ANSI: Final = re.compile(r"\$'((?:[^'\\]|\\.)*)'", re.DOTALL)
_VALUE_MAX: Final = 65_536  # characters; A=$A$A doubles each time
_DEPTH_MAX: Final = 20
_TOO_DEEP: Final = "it is nested too deeply"


class _Unended(Exception):
    """Why what was begun has no end."""


class Shell:
    """Reads the commands of a text, and what they assign; `variables` go on to other texts."""

    def __init__(
        self,
        text: str,
        line: int,
        marks: Marks,
        variables: dict[str, list[str]],
        found: list[Command] | None = None,
        depth: int = 0,
    ) -> None:
        """`line` is the number of the first one; `found` are commands of a text that this one is in."""
        self._text = text
        self._at = 0
        self._counted = (0, line)
        self._marks = marks
        self._variables = variables
        self._depth = depth
        self._branches = 0
        self._found = [] if found is None else found
        self._open: list[Command] = []  # that have no end yet, each in the one before
        self._waiting: list[tuple[Command, str, str]] = []  # for here-documents

    def commands(self) -> list[Command]:
        """All of them, those of substitutions before the one that they are in.

        One without an end is there with the reason; the lines after its first are read on their own.
        """
        depth, first = self._depth, len(self._found)
        while self._at < len(self._text):
            begin = self._at
            try:
                self._commands(is_inner=False)
            except _Unended as problem:
                for each in self._open:
                    each.why = f"the command has no end: {problem}"
                self._found += self._open
                self._at = self._text.find("\n", begin) + 1 or len(self._text)
                self._depth, self._waiting, self._open = depth, [], []
        return self._found[first:]

    def expanded(self) -> str:
        """All of it as a here-document, with its variables filled in."""
        return " ".join(self._quoted(""))

    def _commands(self, *, is_inner: bool) -> list[Command]:
        """Those to the end of the line, or to what closes a substitution."""
        own: list[Command] = []
        depth, is_joined = 0, False
        command = Command(self._line())
        self._open.append(command)
        while True:
            operator = self._read_to_operator(command)
            if not operator and is_inner:
                raise _Unended("nothing closes its '$('")
            if operator in ("", "\n"):
                self._read_here_documents()
            if operator == "\n" and command.is_empty and is_joined:
                continue  # as after a | at the end of a line
            if self._finish(command):
                own.append(command)
                self._found.append(command)
            depth += {"(": 1, ")": -1}.get(operator, 0)
            self._open.pop()
            if not operator or (is_inner and depth < 0) or (operator == "\n" and not is_inner):
                return own
            is_joined = operator in _JOINS
            before = command if operator in ("|", "|&") else None
            command = Command(self._line(), before=before, is_sure=not is_joined)
            self._open.append(command)

    def _read_to_operator(self, command: Command) -> str:
        """The words and redirections of a command, and what ends it; "" at the end of the text."""
        while self._at < len(self._text):
            if (blank := _BLANK.match(self._text, self._at)) is not None:
                self._at = blank.end()
            elif self._text[self._at] == "#":
                self._at = self._end_of(self._text.find("\n", self._at))
            elif (redirection := _REDIRECTION.match(self._text, self._at)) is not None:
                self._redirect(command, redirection)
            elif (ended := _END.match(self._text, self._at)) is not None:
                self._at = ended.end()
                return ended[0]
            else:
                if command.is_empty:
                    command.line = self._line()
                self._add_words(command)
        return ""

    def _redirect(self, command: Command, found: re.Match[str]) -> None:
        self._at = found.end()
        descriptor, operator = found.groups()
        if operator in ("<<", "<<-"):
            delimiter = _DELIMITER.match(self._text, self._at)
            if delimiter is None:
                raise _Unended("nothing stands after its '<<'")
            self._at = delimiter.end()
            command.text = ""
            self._waiting.append((command, operator, delimiter[1]))
            return
        if (blank := _BLANK.match(self._text, self._at)) is not None:
            self._at = blank.end()
        target = " ".join(self._word())
        if descriptor not in ("", "0"):
            return
        if operator == "<<<":
            command.text = target
        elif operator == "<":
            command.file = target

    def _read_here_documents(self) -> None:
        for command, operator, written in self._waiting:
            delimiter = re.sub(r"['\"\\]", "", written)
            ends = re.compile(rf"^[ \t]*{re.escape(delimiter)}[ \t]*$", re.MULTILINE)
            if (end := ends.search(self._text, self._at)) is None:
                command.why = f"there is no line '{delimiter}' that ends what is after '<<'"
                continue
            body, line = self._text[self._at : end.start()], self._line()
            self._at = self._end_of(end.end() + 1)
            if operator == "<<-":
                body = re.sub(r"^\t+", "", body, flags=re.MULTILINE)
            command.text = body if delimiter != written else self._inner(body, line).expanded()
        self._waiting = []

    def _finish(self, command: Command) -> bool:
        """Note what it assigns; whether anything of it is left."""
        words = command.words
        while words and words[0] in _RESERVED:
            self._branches += (words[0] in _BEGIN) - (words[0] in _DONE)
            del words[: 2 if words[0] == "function" else 1]
        assigned = list(takewhile(_ASSIGNED.fullmatch, words))
        if len(assigned) == len(words) or words[0] in _DECLARE:
            for each in words:
                if (found := _ASSIGNED.fullmatch(each)) is not None:
                    before = "".join(self._variables.get(found[1], [])[:1]) if found[2] else ""
                    self._assign(found[1], [before + found[3]], is_sure=command.is_sure)
        del words[: len(assigned)]
        return not command.is_empty

    def _assign(self, name: str, values: list[str], *, is_sure: bool) -> None:
        """What is known of a variable: its value, or that it is one."""
        unknown = [each for value in values for each in self._marks.within(value) if each.why]
        is_long = sum(map(len, values)) > _VALUE_MAX
        if unknown or is_long:
            why = unknown[0].why if unknown else f"${name} is too long"
            values = [self._marks.put(Unknown(name, why))]
        elif not is_sure or self._branches > 0:
            values = [self._marks.put(Unknown(name))]
        self._variables[name] = values

    def _add_words(self, command: Command) -> None:
        if (array := _ARRAY.match(self._text, self._at)) is None:
            is_first = all(_ASSIGNED.fullmatch(each) or each in _RESERVED for each in command.words)
            command.words += self._word(assigns=is_first or command.words[0] in _DECLARE)
            return
        self._at = array.end()
        self._go_deeper()
        inner = Command(self._line())
        while (operator := self._read_to_operator(inner)) != ")":
            if not operator:
                raise _Unended("nothing closes its '('")
        self._depth -= 1
        before = self._variables.get(array[1], []) if array[2] else []
        self._assign(array[1], before + inner.words, is_sure=command.is_sure)

    def _word(self, *, assigns: bool = False) -> list[str]:
        """What becomes of one as it is written: none, or several, if it has variables."""
        fields, is_word = [""], False
        while self._at < len(self._text):
            one = self._text[self._at]
            if one in " \t\n;&|()" or (one in "<>" and self._text[self._at + 1 :][:1] != "("):
                break
            is_value = assigns and _ASSIGNED.match(fields[0]) is not None
            values, is_quoted = self._piece(one)
            if not is_quoted and one in "$`" and not is_value:
                values = [part for each in values for part in each.split()]
            is_word |= any(values) or (is_quoted and bool(values))
            fields[-1] += "".join(values[:1])
            fields += values[1:]
        return fields if is_word else []

    def _piece(self, one: str) -> tuple[list[str], bool]:
        """What begins with this character, and whether it stands in quotes."""
        following = self._text[self._at + 1 :][:1]
        if one == "'":
            return [self._to_quote(self._at + 1)], True
        if one == "$" and following == "'":
            return [self._ansi()], True
        if one == '"' or (one == "$" and following == '"'):
            self._at += 1 if one == '"' else 2
            return self._quoted('"'), True
        if one == "\\":
            self._at += 2
            return ([] if following == "\n" else [following]), following != "\n"
        if one in "<>":
            self._at += 2
            return [self._substituted(self._nested())], True
        if one in "$`":
            return self._filled(in_quotes=False), False
        plain = _PLAIN.match(self._text, self._at)
        assert plain is not None
        self._at = plain.end()
        return [plain[0]], False

    def _to_quote(self, begin: int) -> str:
        end = self._text.find("'", begin)
        if end < 0:
            raise _Unended("No closing quotation")
        self._at = end + 1
        return self._text[begin:end]

    def _ansi(self) -> str:
        """What `$'…'` is, with its escapes."""
        found = _IN_ANSI.match(self._text, self._at)
        if found is None:
            raise _Unended("No closing quotation")
        self._at = found.end()
        return unescaped(found[1])

    def _quoted(self, closing: str) -> list[str]:
        """To the closing quote, or the end of the text; none, or several, with an array in it."""
        fields, has_values = [""], True
        while self._at < len(self._text):
            one = self._text[self._at]
            if (plain := _PLAIN_IN_QUOTES.match(self._text, self._at)) is not None:
                self._at = plain.end()
                values = [plain[0]]
            elif one in "$`":
                values = self._filled(in_quotes=True)
            elif one == "\\":
                following = self._text[self._at + 1 :][:1]
                self._at += 2
                is_escaped = following in ("$", "`", "\\", closing)
                values = ["" if following == "\n" else following if is_escaped else one + following]
            else:
                self._at += 1
                if closing:
                    return fields if has_values or any(fields) else []
                values = [one]
            has_values &= bool(values)
            fields[-1] += "".join(values[:1])
            fields += values[1:]
        if closing:
            raise _Unended("No closing quotation")
        return fields

    def _filled(self, *, in_quotes: bool) -> list[str]:
        """What stands for a `$…` or backticks."""
        if (quoted := _IN_BACKTICKS.match(self._text, self._at)) is not None:
            line = self._line()
            self._at = quoted.end()
            escaped = r'\\([$`\\"])' if in_quotes else r"\\([$`\\])"
            inner = self._inner(re.sub(escaped, r"\1", quoted[1]), line)
            return [self._substituted(inner.commands())]
        if self._text[self._at] == "`":
            raise _Unended("nothing closes its '`'")
        if self._text.startswith("$((", self._at):
            end = self._text.find("))", self._at)
            if end < 0:
                raise _Unended("nothing closes its '$(('")
            self._at = end + 2
            return [self._mark("$((…))")]
        if self._text.startswith("$(", self._at):
            self._at += 2
            return [self._substituted(self._nested())]
        if (braced := _BRACED.match(self._text, self._at)) is not None:
            return self._braced(braced, in_quotes=in_quotes)
        if self._text.startswith("${", self._at):
            self._at += 2
            self._to_brace(in_quotes=in_quotes)
            return [self._mark("${…}")]
        named = _NAMED.match(self._text, self._at)
        self._at = named.end() if named is not None else self._at + 1
        return self._value(named[1]) if named is not None else ["$"]

    def _braced(self, found: re.Match[str], *, in_quotes: bool) -> list[str]:
        before, name, index, operator = found.groups()
        self._at = found.end()
        rest = self._to_brace(in_quotes=in_quotes)
        is_plain = (rest == "" or operator) and not before and operator not in ("+", ":+")
        if not is_plain or index not in (None, "[@]", "[*]"):
            return [self._mark(f"${{{name}…}}")]
        known = self._variables.get(name)
        is_other = name[0].isdigit() or (known is not None and operator and not "".join(known))
        if operator in ("-", ":-", "=", ":=") and is_other:
            return [rest]
        if known is None or index is None:
            return self._value(name)
        return [" ".join(known)] if index == "[*]" and in_quotes else known

    def _value(self, name: str) -> list[str]:
        if name in self._variables:
            return self._variables[name][:1]
        if _NAME.fullmatch(name) and name not in _OF_THE_SHELL:
            return [self._marks.put(Unknown(name))]
        return [self._mark(f"${name}")]

    def _mark(self, what: str) -> str:
        return self._marks.put(Unknown("", f"{what} is known only when it runs"))

    def _to_brace(self, *, in_quotes: bool) -> str:
        """What stands before the closing brace."""
        self._go_deeper()
        said = ""
        while self._at < len(self._text):
            one = self._text[self._at]
            if one == "}":
                self._at += 1
                self._depth -= 1
                return said
            if (plain := _PLAIN_IN_BRACES.match(self._text, self._at)) is not None:
                self._at = plain.end()
                said += plain[0]
            elif one == "'" and in_quotes:
                self._at += 1
                said += one
            else:
                said += " ".join(self._piece(one)[0])
        raise _Unended("nothing closes its '${'")

    def _nested(self) -> list[Command]:
        """The commands of a substitution."""
        self._go_deeper()
        waiting, self._waiting = self._waiting, []
        own = self._commands(is_inner=True)
        self._waiting = waiting
        self._depth -= 1
        return own

    def _go_deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise _Unended(_TOO_DEEP)

    def _substituted(self, commands: list[Command]) -> str:
        """What they write, where that is known."""
        if len(commands) != 1:
            what = commands[-1].words[0] if commands and commands[-1].words else "$()"
            return self._mark(f"what {what} writes")
        try:
            return commands[0].output().rstrip("\n")
        except NotKnown as problem:
            return self._marks.put(Unknown("", str(problem)))

    def _inner(self, text: str, line: int) -> Shell:
        """One for a text within this one."""
        if self._depth >= _DEPTH_MAX:
            raise _Unended(_TOO_DEEP)
        return Shell(text, line, self._marks, self._variables, self._found, self._depth + 1)

    def _line(self) -> int:
        at, line = self._counted
        line += self._text.count("\n", at, self._at) - self._text.count("\n", self._at, at)
        self._counted = (self._at, line)
        return line

    def _end_of(self, at: int) -> int:
        return min(at, len(self._text)) if at >= 0 else len(self._text)
