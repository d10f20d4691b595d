/** What a browser without a session sees: how to get in. It holds nothing that a stranger could use. */
export const signInPage = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width" />
    <title>Headway: sign in</title>
  </head>
  <body>
    <h1>Headway</h1>
    <p>This browser is not signed in.</p>
    <p>Open the address that Headway printed when it started. Each address signs in one browser, once.</p>
    <p>
      Used already? The token of the next one stands in the file <code>web-access.json</code> in Headway's data
      directory, which only its owner can read: open this page's address with <code>?token=…</code> after it.
    </p>
  </body>
</html>
`;

/**
 * A link from another site (a chat, a ticket) comes without the session's cookie, which is SameSite=Strict. This
 * page follows the link once more from here, with the cookie.
 */
export const followLinkPage = (path: string) => `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <title>Headway</title>
    <meta http-equiv="refresh" content="0;url=${escapeHtml(path)}" />
  </head>
  <body>
    <p><a href="${escapeHtml(path)}">Open in Headway</a></p>
  </body>
</html>
`;

const escapeHtml = (text: string) =>
  text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0) ?? 0};`);
