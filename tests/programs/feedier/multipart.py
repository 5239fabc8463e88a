"""Creates a user with a form of parts, then tries one with a file for a name."""

import os

import httpx

EMAIL = os.environ["USERBRIDGE_EMAIL"]
FILE = ("a.txt", b"a file")


def post(fields, files):
    response = httpx.post(
        f"{os.environ['USERBRIDGE_URL']}/v3/users",
        headers={"Authorization": f"Bearer {os.environ['USERBRIDGE_API_KEY']}"},
        data={"role": "viewer", "auth_method": "oidc", **fields},
        files=files,
    )
    print(response.text)


post({"email": EMAIL, "name": "Jürgen Groß"}, {"avatar": FILE})
post({"email": f"other.{EMAIL}"}, {"name": FILE})
