# Creates a user with a form of parts, then tries one with a file for a name.
post() {
    curl -sS "$USERBRIDGE_URL/v3/users" \
        -H "Authorization: Bearer $USERBRIDGE_API_KEY" \
        -F role=viewer \
        -F auth_method=oidc \
        "$@"
    echo
}
post -F email="$USERBRIDGE_EMAIL" -F name="Jürgen Groß" -F avatar=@"$0"
post -F email="other.$USERBRIDGE_EMAIL" -F name=@"$0"
