# Feedier's documents: delete a user.
curl -sS -w '%{http_code}' -X DELETE "$USERBRIDGE_URL/v3/users/42" \
    -H "Authorization: Bearer $USERBRIDGE_API_KEY"
