const response = await fetch(`${process.env.USERBRIDGE_URL}/api/external/v1/users/delete`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({
    api_key: process.env.USERBRIDGE_API_KEY,
    user_id: process.env.USERBRIDGE_USER_ID,
  }),
});
if (response.status === 404) throw new Error("User not in this org");
if (!response.ok) throw new Error(`HTTP ${response.status}`);
console.log(JSON.stringify(await response.json()));
