#!/usr/bin/env python3
"""expired_token.py DATA: prints a login token that the `vectron dev` of this new data folder would have given out a day ago, so that it
has expired since. The signing key is derived as docs/formats/auth-store.md says. Standard library only; for tests of the client libraries."""
import base64
import glob
import hashlib
import hmac
import json
import os
import sys
import time

RECORD = b"kvectron/auth/signing/"
DAY = 86_400


def field(message, number):
    """A field of bytes of a message that starts with such fields."""
    at = 0
    while message[at] & 7 == 2:
        size, found = message[at + 1], message[at] >> 3
        if found == number:
            return message[at + 2:at + 2 + size]
        at += 2 + size
    raise SystemExit(f"no field {number}")


def signing_key(data):
    """Id and bytes of the first signing key, from the log of the store."""
    for path in sorted(glob.glob(os.path.join(data, "auth", "*.log"))):
        with open(path, "rb") as file:
            log = file.read()
        at = log.find(RECORD)
        if at >= 0:
            break
    else:
        raise SystemExit(f"{data}: no signing key in the log of auth/")
    key_size = log[at - 1]
    value_size = log[at + key_size]
    value = log[at + key_size + 1:at + key_size + 1 + value_size][16:]  # behind revision and time of expiry
    name, salt = field(value, 1), field(value, 2)
    with open(os.path.join(data, "auth.secret"), "rb") as file:
        secret = file.read().strip()
    return name.decode(), hmac.digest(secret, b"vectron token key " + name + b" " + salt, hashlib.sha256)


def text(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(data):
    name, key = signing_key(data)
    begin = int(time.time()) - DAY
    claims = {"iss": "vectron", "sub": "user-1", "user_id": "user-1", "api_key": "", "iat": begin, "nbf": begin, "exp": begin + 3_600,
              "jti": "token-1", "sid": "session-1", "auth_time": begin}
    parts = [text(json.dumps(part).encode()) for part in ({"alg": "HS256", "kid": name, "typ": "JWT"}, claims)]
    signed = ".".join(parts)
    return f"{signed}.{text(hmac.digest(key, signed.encode(), hashlib.sha256))}"


if __name__ == "__main__":
    print(token(sys.argv[1]))
