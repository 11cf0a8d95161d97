from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.trace.redact import REDACTED, Redactor

KEYS = {
    "OpenAI": "sk-proj-a1B2c3D4e5F6g7H8i9J0k1L2",
    "OpenAI, letters only": "sk-abcdefghijklmnopqrstuvwxyz",
    "Anthropic": "sk-ant-api03-a1B2c3D4e5F6g7H8i9J0-k1L2_m3N4",
    "OpenRouter": "sk-or-v1-0123456789abcdef0123456789abcdef",
    "AWS": "AKIAIOSFODNN7EXAMPLE",
    "AWS, for a while": "ASIAIOSFODNN7EXAMPLE",
    "GitHub": "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "GitHub, fine-grained": "github_pat_11ABCDEFG0a1B2c3D4e5F6_g7H8i9J0k1L2m3N4",
    "GitLab": "glpat-a1B2c3D4e5F6g7H8i9J0",
    "Slack": "xoxb-123456789012-abcdefABCDEF",
    "Google": "AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "Hugging Face": "hf_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7",
    "web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
}
NAMED = {
    "bearer": ("Authorization: Bearer ", "abc.DEF-123_456"),
    "basic": ("authorization: Basic ", "dXNlcjpwYXNzd29yZA=="),
    "a header of another kind": ("x-api-key: ", "k3y-w1thout-shape"),
    "a shell's variable": ("export OPENAI_API_KEY=", "weird.key.of.mine"),
    "an address": ("postgresql://ada:", "s3cr3t-lovelace"),
    "a query": ("https://example.org/?q=cats&access_token=", "0a1b2c3d4e5f"),
    "a password": ("password: ", "correct-horse"),
    "an AWS secret": ("aws_secret_access_key = ", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    "a plain token": ("token=", "0123456789abcdef0123"),
    "an address without a user": ("redis://:", "s3cr3t@love!lace"),
    "words in quotes": ('login(password="', "correct horse battery staple"),
    "words in three quotes": ('secret = """', "correct horse 'battery' staple"),
    "quotes in quotes": ('call {"password": "', r"correct \"horse\" battery"),
    "quotes never closed": ("passwd: '", "correct horse battery staple"),
    "JSON in what is no JSON": (r'call {"body": "{\"client_secret\": \"', "correct horse"),
}
AFTER = {
    "an address": "@db.example.org/lab",
    "an address without a user": "@db.example.org/lab",
    "words in quotes": '", remember=True)',
    "words in three quotes": '"""\n',
    "quotes in quotes": '", "n": 1',
    "JSON in what is no JSON": r'\", \"n\": 1}"',
}
SECRETS = [*KEYS.values(), *(before + value + AFTER.get(name, "") for name, (before, value) in NAMED.items())]
HARMLESS = [
    "the risk-management-of-long-tasks is high",
    "input_tokens: 100, max_tokens=4096",
    "each token: university",
    "the bearer of this letter",
    "a basic understanding",
    "run-3f2a9c1e-8b7d-4c6a-9e5f-0a1b2c3d4e5f and call_0a1b2c3d4e5f6a7b8c9d0e1f",
    '{"token": "cat", "logprob": -0.1}',
    "https://example.org/cats?page=2",
    "The secret of cats is patience.",
]


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_keys_are_known_by_their_shape(key: str) -> None:
    redacted = Redactor().text(f"use {key}, please")

    assert redacted == f"use {REDACTED}, please"


@pytest.mark.parametrize("name", NAMED)
def test_values_are_known_by_their_name(name: str) -> None:
    before, secret = NAMED[name]

    redacted = Redactor().text(before + secret + AFTER.get(name, ""))

    assert secret not in redacted
    assert redacted.startswith(before.split()[0].rstrip(":="))


@given(secret=st.text("ab \"'\\\n:,;&{[€", min_size=1).map(lambda text: f"<{text}>"), depth=st.integers(1, 3))
def test_a_value_in_quotes_goes_whole_however_often_it_is_escaped(secret: str, depth: int) -> None:
    """Behind other words the JSON is read as a text."""
    text = orjson.dumps({"password": secret, "note": "as it was"}).decode()
    inside = orjson.dumps(secret).decode()[1:-1]
    for _ in range(depth - 1):
        text, inside = orjson.dumps({"text": text}).decode(), orjson.dumps(inside).decode()[1:-1]

    redacted = Redactor().text(f"login {text}")

    assert inside not in redacted
    pieces = {inside[n : n + 6] for n in range(len(inside) - 5)}
    frame = text.replace(inside, REDACTED)  # its quotes and colons are no secret, though the secret has some like them
    assert not any(piece in redacted for piece in pieces if piece not in frame)
    assert redacted.endswith("as it was" + text.partition("as it was")[2])


@pytest.mark.parametrize("quotes", ['password=""', "secret = '' and \"more words\"", 'api_key: "", "query": "cats"'])
def test_empty_quotes_hide_nothing(quotes: str) -> None:
    assert Redactor().text(quotes) == quotes


def test_the_letter_of_an_escaped_line_end_hides_no_key() -> None:
    assert Redactor().text(r"call \nsk-abcdefghijklmnopqrst") == rf"call \n{REDACTED}"


def test_a_private_key_goes_whole() -> None:
    pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow+/IBAAK\nCAQEA=\n-----END RSA PRIVATE KEY-----"

    assert Redactor().text(f"see:\n{pem}\nand so on") == f"see:\n{REDACTED}\nand so on"


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_texts_stay_as_they_are(text: str) -> None:
    assert Redactor().text(text) == text


def test_arguments_keep_their_form() -> None:
    arguments = orjson.dumps({"query": "cats", "api_key": "anything at all", "nested": {"password": 123456}}).decode()

    assert orjson.loads(Redactor().text(arguments)) == {
        "query": "cats",
        "api_key": REDACTED,
        "nested": {"password": REDACTED},
    }


def test_arguments_without_secrets_stay_to_the_letter() -> None:
    arguments = '{ "query" :  "the secret of cats" }'

    assert Redactor().text(arguments) == arguments


def test_a_schema_that_speaks_of_passwords_stays() -> None:
    schema = {"properties": {"password": {"type": "string"}}, "required": ["password"]}

    assert orjson.loads(Redactor().json(orjson.dumps(schema))) == schema


def test_patterns_of_ones_own_are_redacted_too() -> None:
    redactor = Redactor(extra=[r"ACME-\d+"])

    assert redactor.text("badge ACME-1234") == f"badge {REDACTED}"
    assert Redactor().text("badge ACME-1234") == "badge ACME-1234"


@given(
    secret=st.sampled_from(SECRETS),
    before=st.text(max_size=8).map(lambda text: text + " "),
    depth=st.integers(0, 3),
)
def test_the_coarse_sieve_lets_no_secret_pass(secret: str, before: str, depth: int) -> None:
    text = before.encode("utf-8", "ignore").decode() + secret
    for _ in range(depth):
        text = orjson.dumps({"text": text}).decode()

    redactor = Redactor()

    assert redactor.suspects(orjson.dumps(text).decode())
    assert redactor.text(text) != text


@given(separator=st.sampled_from("\n\r\t\f"), secret=st.sampled_from(list(KEYS.values())))
def test_a_line_end_before_a_key_hides_nothing(separator: str, secret: str) -> None:
    data = orjson.dumps({"text": orjson.dumps({"inner": "key:" + separator + secret}).decode()})

    assert Redactor().suspects(data.decode())
    assert secret.encode() not in Redactor().json(data)


@pytest.mark.parametrize(
    "hostile",
    [
        "eyJ-" * 50_000,
        "-----BEGIN PRIVATE KEY-----" * 5_000,
        "api_key" + " " * 100_000,
        "://" + "a:" * 50_000,
        "[" * 900,
        "password='\"" * 50_000,
        "".join('password="' + chr(92) * n for n in range(600)),
        "://:" + "a@" * 50_000 + " ",
    ],
    ids=["web tokens", "private keys", "blanks", "an address", "brackets", "quotes", "escapes", "hosts"],
)
def test_hostile_texts_are_read_in_time_that_grows_with_their_length(hostile: str) -> None:
    Redactor().text(hostile)
    Redactor().text(orjson.dumps({"text": hostile}).decode())


def test_arguments_that_are_nested_too_deeply_are_read_as_text() -> None:
    deep = "[" * 600 + '"' + KEYS["OpenAI"] + '"' + "]" * 600

    assert KEYS["OpenAI"] not in Redactor().text(deep)
