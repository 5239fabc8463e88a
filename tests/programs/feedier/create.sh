# Feedier's documents: create a user.
curl -sS "$USERBRIDGE_URL/v3/users" \
    -H "Authorization: Bearer $USERBRIDGE_API_KEY" \
    -d email="john@example.com" \
    -d name="John Doe" \
    -d role="viewer" \
    -d auth_method="password" \
    -d team_id=2
