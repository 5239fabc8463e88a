# Feedier's documents: retrieve a user.
curl -sS "$USERBRIDGE_URL/v3/users/42" \
    -H "Authorization: Bearer $USERBRIDGE_API_KEY"
