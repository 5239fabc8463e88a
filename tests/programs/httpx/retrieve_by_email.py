import json
import os

import httpx

response = httpx.post(
    f"{os.environ['USERBRIDGE_URL']}/api/external/v1/users/retrieve",
    json={
        "api_key": os.environ["USERBRIDGE_API_KEY"],
        "email": os.environ["USERBRIDGE_EMAIL"],
    },
)
if response.status_code == 404:
    raise LookupError("User not in this org")
response.raise_for_status()
print(json.dumps(response.json()))
