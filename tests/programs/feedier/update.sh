# Feedier's documents: update a user.
curl -sS -X PUT "$USERBRIDGE_URL/v3/users/42" \
    -H "Authorization: Bearer $USERBRIDGE_API_KEY" \
    -d name="John Updated" \
    -d role="editor"
