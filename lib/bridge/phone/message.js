// SIP messages and digest authentication (RFC 3261, RFC 7616), as much of them as a phone needs.
"use strict";

const COMPACT = {v: "via", f: "from", t: "to", i: "call-id", m: "contact", l: "content-length", c: "content-type",
                 k: "supported", s: "subject", r: "refer-to", b: "referred-by", o: "event", x: "session-expires"};
const PHRASES = {100: "Trying", 180: "Ringing", 200: "OK", 202: "Accepted", 404: "Not Found", 405: "Method Not Allowed",
                 481: "Call/Transaction Does Not Exist", 486: "Busy Here", 487: "Request Terminated",
                 488: "Not Acceptable Here", 491: "Request Pending", 603: "Decline"};
const ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, REFER, NOTIFY, MESSAGE";

function randomText(length) {
    const letters = "abcdefghijklmnopqrstuvwxyz0123456789";
    return Array.from(crypto.getRandomValues(new Uint8Array(length)), (n) => letters[n % 36]).join("");
}

// Where crypto.randomUUID is not: on pages without TLS.
function uuid() {
    const hex = Array.from(crypto.getRandomValues(new Uint8Array(16)), (n) => n.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, "$1-$2-4$3-8$4-$5");
}

// What others call themselves, as it may stand beside words of ours: without what turns the direction of writing,
// hides or takes the whole page.
function harmless(name) {
    const text = name.replace(/\s+/g, " ").replace(/[\p{Cc}\p{Cf}]/gu, "").trim();
    return text.length > 64 ? `${Array.from(text).slice(0, 63).join("")}…` : text;
}

// "sip:anna@house.test" -> "anna"
function userOf(uri) {
    const user = (uri.match(/^sips?:([^@;]+)@/) || [0, uri])[1];
    try { return harmless(decodeURIComponent(user)); } catch { return harmless(user); }
}

class SipMessage {
    // Null for what is none, or has a line so long that only a fool or an attacker sends it.
    static parse(text) {
        const split = text.indexOf("\r\n\r\n");
        if (split < 0) return null;
        const lines = text.slice(0, split).replace(/\r\n[ \t]+/g, " ").split("\r\n");
        if (lines.some((line) => line.length > 8192)) return null;
        const message = new SipMessage();
        const start = lines.shift().split(" ");
        if (start[0] === "SIP/2.0") {
            message.status = Number(start[1]);
            message.reason = start.slice(2).join(" ");
        } else {
            [message.method, message.uri] = start;
        }
        for (const line of lines) {
            const colon = line.indexOf(":");
            if (colon < 1) continue;
            const written = line.slice(0, colon).trim().toLowerCase();
            message.headers.push([COMPACT[written] || written, line.slice(colon + 1).trim()]);
        }
        message.body = text.slice(split + 4);
        return message;
    }

    constructor() {
        this.headers = [];
        this.body = "";
    }
    all(name) { return this.headers.filter((h) => h[0] === name).map((h) => h[1]); }
    get(name) { return this.all(name)[0] || ""; }
    // Without the name in quotes, in which everything may stand.
    address(name) { return this.get(name).replace(/"(?:[^"\\]|\\.)*"/g, ""); }
    tag(name) { return (this.address(name).replace(/<[^>]*>/g, "").match(/;\s*tag=([^;>\s]+)/i) || [])[1] || ""; }
    uriIn(name) { const value = this.address(name); return (value.match(/<([^>]+)>/) || [0, value.split(";")[0].trim()])[1]; }
    // Names are the sender's word, the user is what the bridge has checked: both, where they differ.
    nameIn(name) {
        const shown = this.get(name).match(/^\s*"((?:[^"\\]|\\.)*)"|^\s*([^<"]+?)\s*</);
        const display = shown && harmless((shown[1] || shown[2] || "").replace(/\\(.)/g, "$1"));
        const user = userOf(this.uriIn(name));
        return display && display !== user ? `${display} (${user})` : user;
    }
    // Comma-separated elements of all headers of that name; commas in <> and quotes are not separators.
    list(name) { return this.all(name).flatMap((v) => v.match(/(?:"[^"]*"|<[^>]*>|[^,])+/g) || []).map((v) => v.trim()); }
    cseq() { const [number, method] = this.get("cseq").split(/\s+/); return {number: Number(number), method}; }
    branch() { return (this.get("via").match(/;\s*branch=([^;\s,]+)/i) || [])[1] || ""; }
}

// MD5 (RFC 1321), for digest authentication where the page has no crypto.subtle or the server wants it.
function md5(text) {
    const bytes = new TextEncoder().encode(text), size = ((bytes.length + 8 >> 6) + 1) * 16;
    const words = new Uint32Array(size), k = [], r = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
    for (let i = 0; i < 64; i++) k[i] = Math.floor(Math.abs(Math.sin(i + 1)) * 4294967296) >>> 0;
    bytes.forEach((byte, i) => { words[i >> 2] |= byte << i % 4 * 8; });
    words[bytes.length >> 2] |= 0x80 << bytes.length % 4 * 8;
    words[size - 2] = bytes.length * 8;
    const state = new Uint32Array([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476]);
    for (let at = 0; at < size; at += 16) {
        let [a, b, c, d] = state;
        for (let i = 0; i < 64; i++) {
            const round = i >> 4;
            const f = [(b & c) | (~b & d), (d & b) | (~d & c), b ^ c ^ d, c ^ (b | ~d)][round];
            const g = [i, 5 * i + 1, 3 * i + 5, 7 * i][round] % 16;
            const sum = a + f + k[i] + words[at + g] >>> 0, turn = r[round * 4 + i % 4];
            [a, d, c, b] = [d, c, b, b + (sum << turn | sum >>> 32 - turn) >>> 0];
        }
        state[0] += a; state[1] += b; state[2] += c; state[3] += d;
    }
    return Array.from(new Uint8Array(state.buffer), (v) => v.toString(16).padStart(2, "0")).join("");
}

async function sha256(text) {
    const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
    return Array.from(bytes, (v) => v.toString(16).padStart(2, "0")).join("");
}

// {value, realm}, or null where nothing in the challenges can be answered. `realm`: of the one registrar that knows
// the password, once it has asked; whoever else asks gets nothing to guess it from.
async function authorization(challenges, method, uri, user, password, realm) {
    const read = challenges.filter((c) => /^digest\s/i.test(c)).map((c) => {
        const out = {};
        for (const [, name, quoted, plain] of c.matchAll(/(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/g))
            out[name.toLowerCase()] = quoted !== undefined ? quoted : plain;
        return out;
    }).filter((c) => c.realm !== undefined && c.nonce && (!realm || c.realm === realm));
    const strong = crypto.subtle && read.find((c) => /^sha-256$/i.test(c.algorithm || ""));
    const chosen = strong || read.find((c) => /^md5$/i.test(c.algorithm || "md5"));
    if (!chosen) return null;
    const hash = strong ? sha256 : md5, cnonce = randomText(16), nc = "00000001";
    const secret = await hash(`${user}:${chosen.realm}:${password}`), what = await hash(`${method}:${uri}`);
    const response = await hash(`${secret}:${chosen.nonce}:${nc}:${cnonce}:auth:${what}`);
    const value = `Digest username="${user.replace(/["\\]/g, "\\$&")}", realm="${chosen.realm}", nonce="${chosen.nonce}", uri="${uri}", ` +
        `response="${response}", algorithm=${strong ? "SHA-256" : "MD5"}, qop=auth, nc=${nc}, cnonce="${cnonce}"` +
        (chosen.opaque === undefined ? "" : `, opaque="${chosen.opaque}"`);
    return {value, realm: chosen.realm};
}
