/**
 * Signing in with the organisation's own provider: authorization code with PKCE. The verifier and the state wait in the
 * tab's session storage while the provider has the tab; the token never goes there.
 *
 * What is sent to the API is the ID token: its audience is this client, for every provider, so the service is configured
 * with `OPERATOR_AUDIENCE` = the client id.
 */
import * as oauth from "oauth4webapi";
import { Problem } from "../api/problem.ts";

const KEPT = "sign-in";

interface Kept {
  state: string;
  nonce: string;
  verifier: string;
}

const redirectUri = () => `${location.origin}/console/`;

/** A provider on this machine may speak plain HTTP. */
function options(issuer: URL): { [oauth.allowInsecureRequests]?: boolean } {
  const loopback = issuer.hostname === "127.0.0.1" || issuer.hostname === "localhost";
  return loopback ? { [oauth.allowInsecureRequests]: true } : {};
}

async function discover(issuer: URL): Promise<oauth.AuthorizationServer> {
  return oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options(issuer)));
}

/** Redirects to the provider. */
export async function begin(issuerText: string, clientId: string): Promise<void> {
  const issuer = new URL(issuerText);
  const server = await discover(issuer).catch(() => {
    throw new Problem("issuer_unreachable", 0);
  });
  if (!server.authorization_endpoint) throw new Problem("issuer_unreachable", 0);
  const kept: Kept = {
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    verifier: oauth.generateRandomCodeVerifier(),
  };
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams({
    ...Object.fromEntries(url.searchParams),
    client_id: clientId,
    redirect_uri: redirectUri(),
    response_type: "code",
    scope: "openid profile",
    state: kept.state,
    nonce: kept.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(kept.verifier),
    code_challenge_method: "S256",
  }).toString();
  sessionStorage.setItem(KEPT, JSON.stringify(kept));
  location.assign(url);
}

/** Exchanges the code for a token. The URL and the storage are cleared first. */
export async function finish(issuerText: string, clientId: string): Promise<string> {
  const here = new URL(location.href);
  const text = sessionStorage.getItem(KEPT);
  sessionStorage.removeItem(KEPT);
  history.replaceState(null, "", "/console/");
  if (text === null) throw new Problem("sign_in_not_begun", 0);
  const kept = JSON.parse(text) as Kept;
  try {
    const issuer = new URL(issuerText);
    const server = await discover(issuer);
    const client: oauth.Client = { client_id: clientId };
    const given = oauth.validateAuthResponse(server, client, here, kept.state);
    const answer = await oauth.authorizationCodeGrantRequest(
      server, client, oauth.None(), given, redirectUri(), kept.verifier, options(issuer),
    );
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, answer, {
      expectedNonce: kept.nonce,
      requireIdToken: true,
    });
    if (!tokens.id_token) throw new Problem("sign_in_failed", 0);
    return tokens.id_token;
  } catch (thrown) {
    if (thrown instanceof oauth.AuthorizationResponseError) throw new Problem("sign_in_refused", 0, { detail: thrown.error });
    throw new Problem("sign_in_failed", 0, { detail: thrown instanceof Error ? thrown.message : String(thrown) });
  }
}
