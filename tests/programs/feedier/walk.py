"""Walks all pages of the users by `links.next`, slowly, and prints whom it has seen."""

import json
import os
import time

import httpx

seen = []
pages = 0
url = f"{os.environ['USERBRIDGE_URL']}/v3/users"
headers = {"Authorization": f"Bearer {os.environ['USERBRIDGE_API_KEY']}"}
with httpx.Client(headers=headers) as client:
    while url:
        response = client.get(url)
        response.raise_for_status()
        page = response.json()
        seen += [user["id"] for user in page["data"]]
        pages += 1
        url = page["links"]["next"]
        time.sleep(0.05)
print(json.dumps({"seen": seen, "pages": pages}))
