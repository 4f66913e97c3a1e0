"""Spreadsheets as people export them: every dialect, and no good line lost to a bad one."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from syncapp.device.importing import import_csv
from syncapp.device.importing.columns import target_of
from syncapp.device.importing.table import UnreadableFile, read_table
from syncapp.device.importing.values import (
    BadCell,
    account_type,
    amount,
    decimal_mark,
    iban,
    yes_or_no,
)
from syncapp.device.replica import Replica
from syncapp.device.store import Store
from syncapp.tests.simulation.household import ACCOUNT_TYPES, HOUSEHOLD

from .harness import rows_of, sync

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
HOME = "bbbbbbbb-0000-4000-8000-000000000001"


@pytest.fixture
def replica() -> Replica:
    return Replica(Store(":memory:"), HOME, entities=HOUSEHOLD)


def accounts(replica: Replica) -> dict[str, dict]:
    return {row.fields["name"]: row.fields for row in replica.rows("account")}


def groups(replica: Replica) -> dict[str, dict]:
    return {row.fields["name"]: row.fields for row in replica.rows("account_group")}


# --- the samples --------------------------------------------------------------------------------


def test_the_sample_household_is_read_to_the_last_line(replica):
    report = import_csv(replica, EXAMPLES / "household.csv")
    assert (report.groups_new, report.accounts_new) == (12, 60)
    assert report.bad == [] and report.columns_left_out == []
    found = accounts(replica)
    assert {each["accountType"] for each in found.values()} == set(ACCOUNT_TYPES)
    anna = found["Gehaltskonto Anna"]
    assert (anna["balance"], anna["creditLimit"], anna["iban"]) == (
        "3482.17",
        "2500",
        "DE97999000017000012345",
    )
    assert anna["note"] == ("Dauerauftrag Miete: jeweils am 1.\nDauerauftrag Strom: jeweils am 15.")
    assert found["Baufinanzierung Haus"]["balance"] == "-187430.22"
    assert found["Girokonto alt (Sparkasse)"]["isActive"] is False
    assert found["Budget Freizeit"]["isOfflineBudget"] is True
    assert found["Paypal"]["isOfflineBudget"] is False, "an empty cell in a column of ticks"
    assert found["Klassenkasse 4b"]["description"].endswith('gehört "der Klasse"')
    assert found["Auslagen Verein"]["balance"] == "0"
    assert groups(replica)["Rücklagen & Sparen"]["sortOrder"] == 2
    assert found["Notgroschen"]["accountGroupId"] in {
        row.id for row in replica.rows("account_group")
    }


def test_the_english_sample_is_read_too(replica):
    report = import_csv(replica, EXAMPLES / "household-en.csv")
    assert (report.groups_new, report.accounts_new, report.bad) == (4, 8, [])
    found = accounts(replica)
    assert found["Mortgage"]["balance"] == "-187430.22"
    assert found["Everyday account"]["balance"] == "1204.55"
    assert found["Old savings book"]["isActive"] is False
    assert found["Mortgage"]["note"] == "Fixed until 2034,\nthen variable"


def test_every_iban_of_the_samples_has_valid_check_digits_and_an_invented_bank():
    found = re.findall(r"[A-Z]{2}\d{2}(?: [A-Z0-9]{1,4}){3,7}", "".join(
        (EXAMPLES / name).read_text("utf-8-sig") for name in ("household.csv", "household-en.csv")
    ))  # fmt: skip
    assert len(found) >= 35 and len(set(found)) == len(found)
    for each in found:
        value = iban(each)
        assert value[4:].startswith(("999", "TEST")), value


def test_what_was_imported_offline_arrives_at_the_server(server, phone):
    a, b = phone(), phone()
    import_csv(a.replica, EXAMPLES / "household.csv")
    assert len(server.home.all_rows()) == 0
    sync(server, a, b)
    assert a.look() == b.look() == rows_of(server.home) and len(a.look()) == 72
    assert not a.replica.refused()


# --- importing again ------------------------------------------------------------------------------


def test_importing_twice_changes_nothing(replica):
    import_csv(replica, EXAMPLES / "household.csv")
    pending = replica.pending
    report = import_csv(replica, EXAMPLES / "household.csv")
    assert (report.unchanged, report.stored) == (72, 72)
    assert replica.pending == pending


def test_two_devices_that_import_the_same_file_before_they_meet_make_the_same_rows(server, phone):
    a, b = phone(), phone()
    import_csv(a.replica, EXAMPLES / "household.csv")
    server.time.pass_s(60)
    import_csv(b.replica, EXAMPLES / "household.csv")
    sync(server, a, b)
    sync(server, a, b)
    assert a.look() == b.look() == rows_of(server.home) and len(a.look()) == 72
    assert not a.replica.conflicts() and not b.replica.conflicts(), "equal values are no conflict"


def test_a_changed_line_changes_its_row(replica):
    import_csv(replica, b"Name;Saldo;IBAN\nGiro;1,00;DE97999000017000012345\nBar;5;\n")
    report = import_csv(
        replica, b"Name;Saldo;IBAN\nGirokonto;2,50;DE97999000017000012345\nBar;5;\n"
    )
    assert (report.accounts_changed, report.unchanged, report.accounts_new) == (1, 1, 0)
    assert accounts(replica)["Girokonto"]["balance"] == "2.5"


def test_accounts_that_were_typed_by_hand_are_found_by_iban_or_name(replica):
    replica.create("account", {"name": "Mein Giro", "iban": "DE97999000017000012345"})
    replica.create("account", {"name": "Portemonnaie"})
    data = b"Konto;IBAN;Saldo\nGiro;DE97 9990 0001 7000 0123 45;7\nPORTEMONNAIE;;3\n"
    report = import_csv(replica, data)
    assert (report.accounts_new, report.accounts_changed) == (0, 2)
    assert set(accounts(replica)) == {"Giro", "PORTEMONNAIE"}


def test_an_account_without_iban_that_gets_one_later_stays_the_same(replica):
    import_csv(replica, b"Name;IBAN\nGiro;\n")
    report = import_csv(replica, b"Name;IBAN\nGiro;DE97999000017000012345\n")
    assert (report.accounts_new, report.accounts_changed) == (0, 1)


def test_equal_names_without_iban_are_different_accounts(replica):
    for _ in range(2):
        report = import_csv(replica, b"Name;Saldo\nSparbuch;1\nSparbuch;2\n")
    assert report.unchanged == 2
    assert sorted(row.fields["balance"] for row in replica.rows("account")) == ["1", "2"]


def test_a_deleted_account_comes_back_when_it_is_imported_again(replica):
    import_csv(replica, b"Name;Saldo\nGiro;1\n")
    (row,) = replica.rows("account")
    replica.delete("account", row.id)
    assert import_csv(replica, b"Name;Saldo\nGiro;1\n").accounts_new == 1
    assert [each.id for each in replica.rows("account")] == [row.id]


def test_rows_may_be_named_by_their_id(replica):
    row_id = replica.create("account", {"name": "Giro"})
    report = import_csv(replica, f"ID,Name\n{row_id.upper()},Neu\nkaputt,X\n".encode())
    assert report.accounts_changed == 1 and accounts(replica).keys() == {"Neu"}
    assert [each.line for each in report.bad] == [3]


# --- bad lines ----------------------------------------------------------------------------------

WRONG = """Name;Typ;Gruppe;Saldo;IBAN;Aktiv;Reihenfolge
gut eins;giro;A;1,50;;ja;1
;giro;A;1,50;;ja;1
kein Typ;giroo;A;1;;ja;1
kein Betrag;giro;A;zwölf;;ja;1
zu viele Stellen;giro;A;1,23456;;ja;1
falsche IBAN;giro;A;1;DE97999000017000012346;ja;1
vielleicht;giro;A;1;;vielleicht;1
halb;giro;A;1;;ja;1,5
zu;viele;Zellen;1;;ja;1;x;y
"nie geschlossen;giro;A;1;;ja;1
gut zwei;giro;NurHier;"1.000";;nein;2
gut eins;giro;A;7;;ja;9
"""


def test_bad_lines_are_reported_by_number_and_the_good_ones_kept(replica):
    report = import_csv(replica, WRONG.encode())
    assert [each.line for each in report.bad] == [3, 4, 5, 6, 7, 8, 9, 10, 11]
    reasons = {each.line: each.reason for each in report.bad}
    assert reasons[3] == "This line has no name."
    assert "'giroo' is no type of account; there are: giro, tagesgeld" in reasons[4]
    assert reasons[5] == "balance: 'zwölf' is no amount."
    assert "4 after the point" in reasons[6]
    assert "check digits" in reasons[7]
    assert "neither yes nor no" in reasons[8]
    assert "no whole number" in reasons[9]
    assert "quotation marks" in reasons[10]
    assert "never closed" in reasons[11]
    assert [row.fields["name"] for row in replica.rows("account")].count("gut eins") == 2
    assert accounts(replica)["gut zwei"]["balance"] == "1000"
    assert set(groups(replica)) == {"A", "NurHier"}


def test_the_same_account_twice_in_a_file_is_reported(replica):
    data = b"Name;IBAN\nGiro;DE97999000017000012345\nGiro 2;DE97999000017000012345\n"
    report = import_csv(replica, data)
    assert [(each.line, report.accounts_new) for each in report.bad] == [(3, 1)]


def test_line_numbers_count_lines_inside_quotes(replica):
    data = b'Name;Notiz;Saldo\nEins;"a\nb\nc";1\nZwei;"x";oje\n'
    report = import_csv(replica, data)
    assert [each.line for each in report.bad] == [5]
    assert accounts(replica)["Eins"]["note"] == "a\nb\nc"


def test_a_bad_line_makes_no_group(replica):
    import_csv(replica, b"Name;Gruppe;Saldo\nX;Nie;oje\n")
    assert groups(replica) == {}


# --- dialects -----------------------------------------------------------------------------------

TEXT = "Name;Gruppe;Saldo\nGebühren;Käse & Söhne;1.234,50 €\n"


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode("utf-8"),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("cp1252"),
        TEXT.encode("utf-16"),
        TEXT.replace("\n", "\r\n").encode("utf-8"),
        TEXT.replace("\n", "\r").encode("utf-8"),
        TEXT.replace(";", "\t").encode("utf-8"),
        TEXT.replace("1.234,50 €", '"1.234,50 €"').replace(";", ",").encode("utf-8"),
        TEXT.replace(";", "|").encode("utf-8"),
        ("sep=;\r\n" + TEXT).encode("utf-8-sig"),
        ("\n\n" + TEXT + "\n;;\n").encode("utf-8"),
        TEXT.replace("Name;", "NAME ;").replace("Saldo", "Saldo in €").encode("utf-8"),
        TEXT.replace("Name;Gruppe;Saldo", '"Name";"Gruppe";"Kontostand (EUR)"').encode("utf-8"),
    ],
)  # fmt: skip
def test_every_dialect_means_the_same(replica, data):
    report = import_csv(replica, data)
    assert (report.bad, report.columns_left_out) == ([], [])
    assert accounts(replica)["Gebühren"]["balance"] == "1234.5"
    assert set(groups(replica)) == {"Käse & Söhne"}


def test_the_standard_library_reads_the_same_cells():
    """Our reader names line numbers and survives open quotes; else it is csv's."""
    text = (EXAMPLES / "household.csv").read_text("utf-8-sig")
    ours = [each.cells for each in read_table(text.encode(), lambda _: True).records]
    theirs = list(csv.reader(io.StringIO(text), delimiter=";"))[1:]
    assert ours == theirs


def test_columns_that_mean_nothing_are_named(replica):
    report = import_csv(replica, b"Name;Lieblingsfarbe;Saldo\nGiro;blau;1\n")
    assert report.columns_left_out == ["Lieblingsfarbe"] and report.accounts_new == 1


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"PK\x03\x04rest", "workbook"),
        (b"Name;\x00;x\n", "not a text file"),
        (b"Giro;100\nSpar;200\n", "first line must name the columns"),
        (b"Name;Saldo;Kontostand\nx;1;2\n", "mean the same"),
    ],
)
def test_what_is_no_table_is_refused_with_a_sentence(replica, data, sentence):
    with pytest.raises(UnreadableFile, match=sentence):
        import_csv(replica, data)
    assert replica.pending == 0


def test_a_large_file_is_stored_in_parts_and_told_as_it_goes(replica):
    data = "Name;Saldo\n" + "".join(f"Konto {n};{n},5\n" for n in range(1000))
    told = []
    report = import_csv(replica, data.encode(), lambda done, of: told.append((done, of)))
    assert told == [(300, 1000), (600, 1000), (900, 1000), (1000, 1000)]
    assert report.accounts_new == 1000


# --- cells --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "mark", "value"),
    [
        ("1.234,56", ",", "1234.56"),
        ("1,234.56", ".", "1234.56"),
        ("1.234.567,8", ".", "1234567.8"),
        ("12,5", ".", "12.5"),
        ("12.5", ",", "12.5"),
        ("1.234", ",", "1234"),
        ("1.234", ".", "1.234"),
        ("1,234", ".", "1234"),
        ("1,234", ",", "1.234"),
        ("1234", ",", "1234"),
        ("-12,50 €", ",", "-12.50"),
        ("€ -12.50", ".", "-12.50"),
        ("12,50-", ",", "-12.50"),
        ("−12,50", ",", "-12.50"),
        ("(12.50)", ".", "-12.50"),
        ("+3", ",", "3"),
        ("1 234,50", ",", "1234.50"),
        ("1\u202f234,50\u00a0€", ",", "1234.50"),
        ("1'234.50", ".", "1234.50"),
        ("EUR 5", ",", "5"),
        (",5", ",", "0.5"),
        ("-", ",", "0"),
        (" - €", ",", "0"),
        ("0,00", ",", "0.00"),
    ],
)
def test_amounts_are_read_as_they_are_written(text, mark, value):
    assert amount(text, mark) == value


@pytest.mark.parametrize(
    "text",
    ["zwölf", "1,2,3", "1.23.456", "12.34,5,6", "1e5", "NaN", "٣", "5 USD x", "1..2", "€", "--5-3"],
)
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(BadCell):
        amount(text, ",")


def test_a_file_says_itself_how_it_writes_decimals():
    assert decimal_mark(["1.000", "2.500,00"], ".") == ","
    assert decimal_mark(["1,000", "2.50"], ",") == "."
    assert decimal_mark(["1.000", "7"], ",") == ","


@pytest.mark.parametrize(
    ("text", "value"),
    [("Ja", True), ("x", True), ("✓", True), ("1", True), ("YES", True), ("wahr", True),
     ("nein", False), ("No", False), ("0", False), ("FALSCH", False)],
)  # fmt: skip
def test_yes_and_no(text, value):
    assert yes_or_no(text) is value


@pytest.mark.parametrize(
    ("text", "value"),
    [("Girokonto", "giro"), ("Current account", "giro"), ("GESCHÄFTSKONTO", "geschaeft"),
     ("Geschaeftskonto", "geschaeft"), ("Fremdwährungskonto", "fremdwaehrung"),
     ("Loan", "darlehen"),
     ("credit-card", "kreditkarte"), ("Bargeld", "bar"), ("sonstiges", "sonstiges")],
)  # fmt: skip
def test_types_of_account_in_both_languages(text, value):
    assert account_type(text) == value


def test_every_type_of_account_can_be_named():
    assert {account_type(each) for each in ACCOUNT_TYPES} == set(ACCOUNT_TYPES)


@pytest.mark.parametrize(
    ("heading", "target"),
    [("Kontostand (in €)", "balance"), ("credit_limit", "creditLimit"),
     ("creditLimit", "creditLimit"),
     ("Gruppe", "group"), ("accountType", "kind"), ("Offline Budget", "isOfflineBudget"),
     ("Datum", None), ("", None)],
)  # fmt: skip
def test_headings_in_both_languages(heading, target):
    assert target_of(heading) == target
