#!/bin/sh
curl -sS --max-time 20 -X POST "$USERBRIDGE_URL/api/external/v1/users/retrieve" \
  -H 'Content-Type: application/json' \
  -d '{
    "api_key": "'"$USERBRIDGE_API_KEY"'",
    "user_id": "'"$USERBRIDGE_USER_ID"'"
  }'
