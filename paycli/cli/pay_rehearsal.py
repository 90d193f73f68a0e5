"""`paycli pay --dry-run`: what would be sent, without a server."""

from __future__ import annotations

from pathlib import Path

from paycli.cli import output
from paycli.cli.pay_mistakes import Mistakes
from paycli.cli.service import Service
from paycli.client.charges import Charge
from paycli.client.fixture_choices import Choices
from paycli.client.fixture_payments import Mistaken
from paycli.client.fixtures import Fixture
from paycli.client.follow_ups import FollowUp
from paycli.client.rehearsal import rehearsal
from paycli.errors import InputError


def rehearse_fixtures(
    paths: list[Path], choices: Choices, service: Service, *, as_json: bool
) -> int:
    """Show each payment; the exit code is 2 if something could not be sent."""
    mistakes = Mistakes()
    code = 0
    for fixture in [Fixture(path, choices) for path in paths]:
        for each in fixture:
            if not isinstance(each, Mistaken):
                rehearse(each.charge, service, each.then, as_json=as_json)
                continue
            code = InputError.exit_code
            if as_json:
                for problem in each.problems:
                    output.error(problem, as_json=True)
            else:
                mistakes.tell(each.problems)
    mistakes.close()
    if not code:  # what is wrong may be what was chosen
        choices.refuse_unused()
    return code


def rehearse(
    charge: Charge, service: Service, then: tuple[FollowUp, ...] = (), *, as_json: bool
) -> None:
    """Show the request, its key, the grpcurl line that sends it, and what follows."""
    shown = rehearsal(charge, service.target, service.access)
    if as_json:
        output.document({**shown, "follow_ups": [each.as_dict() for each in then]})
        return
    user = f" by {charge.user_id}" if charge.user_id else ""
    manual = " to authorize" if charge.is_manual else ""
    money = f"{charge.decimal_amount} {charge.currency}"
    output.result(output.one_line(f"{money}{manual}{user}: key {shown['key']}"))
    output.result(output.one_line(f"  {shown['grpcurl']}"))
    for each in then:
        output.result(output.one_line(f"  then {each}: key {each.key}"))
    if shown["left_out"]:
        output.progress(f"  and -H for {', '.join(shown['left_out'])}, which may be secret")
