"""Tokens of a company's identity provider: whose key, which algorithm and for whom are fixed by the settings."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from bascule.config.load import load
from bascule.errors import ConfigError
from bascule.ports.state import StateDoor
from bascule.server.identities import Identities, Unauthenticated
from bascule.server.issuer_keys import LIFESPAN, PATIENCE, IssuerAway, IssuerKeys, UnknownKey
from bascule.server.problems import Problem

SECRET = "a secret of thirty-two bytes, or more"


@cache
def key(name: str) -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def public_pem(name: str) -> bytes:
    return (
        key(name).public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


@pytest.fixture(scope="module")
def jwks() -> Iterator[str]:
    published = {**json.loads(RSAAlgorithm.to_jwk(key("theirs").public_key())), "kid": "1", "use": "sig"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"keys": [published]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/keys"
    server.shutdown()
    server.server_close()


def identities(folder: Path, **environ: str) -> Identities:
    def nobody() -> StateDoor:
        raise AssertionError("a JWT asks no database")

    return Identities(load(environ=environ, folder=folder), nobody)


@pytest.fixture
def company(tmp_path: Path, jwks: str) -> Identities:
    return identities(
        tmp_path,
        BASCULE_JWT_JWKS_URL=jwks,
        BASCULE_JWT_ISSUER="https://login.example",
        BASCULE_JWT_AUDIENCE="bascule",
        BASCULE_JWT_ROLE_CLAIM="bascule_role",
        BASCULE_SECRET_KEY=SECRET,
    )


def claims(**more: Any) -> dict[str, Any]:
    return {
        "sub": "ann",
        "bascule_role": "admin",
        "iss": "https://login.example",
        "aud": ["bascule", "else"],
        "exp": time.time() + 600,
    } | more


def signed(by: str = "theirs", kid: str = "1", alg: str = "RS256", **more: Any) -> str:
    content = {name: value for name, value in claims(**more).items() if value is not None}
    return jwt.encode(content, key(by), alg, {"kid": kid})


def by_hand(header: Mapping[str, Any], secret: bytes) -> str:
    """As somebody writes one who asks no library whether that is wise."""
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=") for each in (header, claims())]
    signature = hmac.new(secret, b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def test_a_token_of_the_company_names_its_carrier_and_role(company: Identities) -> None:
    found = company.authenticate(signed())
    assert (found.name, found.role, found.how, found.token_id) == ("ann", "admin", "jwt", None)
    assert found.expires_at is not None


NO_MOMENTS: tuple[Any, ...] = (
    1e15,
    1e20,
    1e308,
    10**20,
    10**400,
    float("nan"),
    float("inf"),
    -1,
    True,
    False,
    "5",
    [],
    {},
)


def moment_of(name: str, moment: Any) -> str:
    return signed(**{name: moment})


@pytest.mark.parametrize(
    "made",
    [
        lambda: signed(by="mine"),
        lambda: signed(kid="2"),
        lambda: signed(alg="RS512"),
        lambda: signed(iss="https://evil.example"),
        lambda: signed(iss=None),
        lambda: signed(aud="else"),
        lambda: signed(aud=None),
        lambda: signed(exp=time.time() - 60),
        lambda: signed(exp=None),
        lambda: signed(nbf=time.time() + 600),
        *(partial(moment_of, name, moment) for name in ("exp", "nbf", "iat") for moment in NO_MOMENTS),
        lambda: signed(bascule_role="root"),
        lambda: signed(bascule_role=["admin"]),
        lambda: signed(bascule_role=None, role="admin"),
        # The published key taken for a shared secret; our own secret, which signs no tokens here; an address for keys.
        lambda: by_hand({"alg": "HS256", "kid": "1"}, public_pem("theirs")),
        lambda: by_hand({"alg": "HS256", "kid": "1"}, SECRET.encode()),
        lambda: by_hand({"alg": "none", "kid": "1"}, b""),
        lambda: by_hand({"alg": "RS256", "kid": "1", "jku": "http://127.0.0.1:1/keys"}, b""),
    ],
)
def test_none_but_theirs_opens_anything(company: Identities, made: Callable[[], str]) -> None:
    with pytest.raises(Unauthenticated):
        company.authenticate(made())


def test_an_issuer_that_cannot_be_asked_lets_nobody_in(tmp_path: Path) -> None:
    gone = identities(tmp_path, BASCULE_JWT_JWKS_URL="http://127.0.0.1:1/keys", BASCULE_JWT_AUDIENCE="bascule")
    with pytest.raises(Problem) as told:
        gone.authenticate(signed())
    assert (told.value.status, told.value.code) == (503, "issuer_away")
    with pytest.raises(Unauthenticated):
        gone.authenticate("nothing that is a token")


@pytest.mark.parametrize(
    "environ",
    [
        {"BASCULE_JWT_ALG": "none"},
        {"BASCULE_JWT_ALG": "HS256"},
        {"BASCULE_JWT_ALG": "HS256", "BASCULE_SECRET_KEY": "too short"},
        {"BASCULE_SECRET_KEY": "too short"},
        {"BASCULE_JWT_ALG": "RS256"},
        {"BASCULE_JWT_JWKS_URL": "https://login.example/keys"},
        {"BASCULE_JWT_JWKS_URL": "http://login.example/keys", "BASCULE_JWT_AUDIENCE": "bascule"},
        {"BASCULE_JWT_JWKS_URL": "file:///etc/keys", "BASCULE_JWT_AUDIENCE": "bascule"},
    ],
)
def test_settings_that_would_let_others_in_are_refused(tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        identities(tmp_path, **environ)


class Issuer:
    """A real web server that publishes these keys, while it is there, and counts who asks."""

    def __init__(self, *published: str) -> None:
        self.published, self.asked, self.there = list(published), 0, True

    @contextmanager
    def serving(self) -> Iterator[str]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                jwks = [{**json.loads(RSAAlgorithm.to_jwk(key(n).public_key())), "kid": n} for n in issuer.published]
                body = json.dumps({"keys": jwks}).encode()
                self.send_response(200 if issuer.there else 500)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/keys"
        finally:
            server.shutdown()
            server.server_close()


def test_a_thousand_invented_key_ids_lead_to_one_question() -> None:
    issuer, moment = Issuer("theirs"), 0.0
    with issuer.serving() as url:
        keys = IssuerKeys(url, clock=lambda: moment)
        for number in range(1000):
            with pytest.raises(UnknownKey):
                keys.key(f"invented {number}")
        assert issuer.asked == 1
        assert keys.key("theirs") is not None
        moment += PATIENCE
        with pytest.raises(UnknownKey):
            keys.key("invented")
        assert issuer.asked == 2


def test_a_new_key_is_found_while_somebody_invents_ids_and_an_old_one_is_taken_no_more() -> None:
    issuer, moment = Issuer("theirs"), 0.0
    with issuer.serving() as url:
        keys = IssuerKeys(url, clock=lambda: moment)
        keys.key("theirs")
        issuer.published = ["mine"]
        with pytest.raises(UnknownKey):
            keys.key("mine")
        moment += PATIENCE
        assert keys.key("mine") is not None
        with pytest.raises(UnknownKey):
            keys.key("theirs")
        assert issuer.asked == 2


def test_known_keys_outlast_an_absence_for_a_while_and_no_longer() -> None:
    issuer, moment = Issuer("theirs"), 0.0
    with issuer.serving() as url:
        keys = IssuerKeys(url, clock=lambda: moment)
        keys.key("theirs")
        issuer.there = False
        moment += LIFESPAN - 1
        assert keys.key("theirs") is not None
        with pytest.raises(UnknownKey):
            keys.key("other")
        moment += 1
        for _ in range(100):
            with pytest.raises(IssuerAway):
                keys.key("theirs")
        assert issuer.asked == 2, "one for an unknown key; nobody asks again at once"
        issuer.there = True
        moment += PATIENCE
        assert keys.key("theirs") is not None
