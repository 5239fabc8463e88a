// Creates a user with a form of parts, then tries one with a file for a name.
const { USERBRIDGE_URL, USERBRIDGE_API_KEY, USERBRIDGE_EMAIL } = process.env;
const file = new Blob(["a file"]);

async function post(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries({ role: "viewer", auth_method: "oidc", ...fields })) {
    form.append(name, value);
  }
  const response = await fetch(`${USERBRIDGE_URL}/v3/users`, {
    method: "POST",
    headers: { Authorization: `Bearer ${USERBRIDGE_API_KEY}` },
    body: form,
  });
  console.log(await response.text());
}

await post({ email: USERBRIDGE_EMAIL, name: "Jürgen Groß", avatar: file });
await post({ email: `other.${USERBRIDGE_EMAIL}`, name: file });
