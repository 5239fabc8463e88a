# Feedier's documents: list all users.
curl -sS -G "$USERBRIDGE_URL/v3/users" \
    -H "Authorization: Bearer $USERBRIDGE_API_KEY" \
    -d "filter[role]"=admin
