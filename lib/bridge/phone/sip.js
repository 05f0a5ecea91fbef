// SIP over WebSocket (RFC 7118) with WebRTC media: as much as a phone needs, and nothing from anywhere else.
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

class SipMessage {
    static parse(text) {
        const split = text.indexOf("\r\n\r\n");
        if (split < 0) return null;
        const lines = text.slice(0, split).replace(/\r\n[ \t]+/g, " ").split("\r\n");
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
    tag(name) { return (this.get(name).match(/;\s*tag=([^;>\s]+)/i) || [])[1] || ""; }
    uriIn(name) { const value = this.get(name); return (value.match(/<([^>]+)>/) || [0, value.split(";")[0]])[1]; }
    nameIn(name) {
        const shown = this.get(name).match(/^\s*"((?:[^"\\]|\\.)*)"|^\s*([^<"]+?)\s*</);
        const display = shown && (shown[1] || shown[2] || "").replace(/\\(.)/g, "$1").trim();
        const user = (this.uriIn(name).match(/^sips?:([^@;]+)@/) || [0, this.uriIn(name)])[1];
        try { return display || decodeURIComponent(user); } catch { return display || user; }
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

async function authorization(challenges, method, uri, user, password) {
    const read = challenges.filter((c) => /^digest\s/i.test(c)).map((c) => {
        const out = {};
        for (const [, name, quoted, plain] of c.matchAll(/(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/g))
            out[name.toLowerCase()] = quoted !== undefined ? quoted : plain;
        return out;
    });
    const strong = crypto.subtle && read.find((c) => /^sha-256$/i.test(c.algorithm || ""));
    const chosen = strong || read.find((c) => /^md5$/i.test(c.algorithm || "md5"));
    if (!chosen) return null;
    const hash = strong ? sha256 : md5, cnonce = randomText(16), nc = "00000001";
    const secret = await hash(`${user}:${chosen.realm}:${password}`), what = await hash(`${method}:${uri}`);
    const response = await hash(`${secret}:${chosen.nonce}:${nc}:${cnonce}:auth:${what}`);
    return `Digest username="${user}", realm="${chosen.realm}", nonce="${chosen.nonce}", uri="${uri}", ` +
        `response="${response}", algorithm=${strong ? "SHA-256" : "MD5"}, qop=auth, nc=${nc}, cnonce="${cnonce}"`;
}

class SipPhone extends EventTarget {
    // options: {url, domain, user, password}
    constructor(options) {
        super();
        Object.assign(this, options);
        this.aor = `sip:${encodeURIComponent(this.user)}@${this.domain}`;
        this.host = `${randomText(12)}.invalid`;
        this.contact = `sip:${randomText(8)}@${this.host};transport=ws`;
        // One for each tab, kept over a reload: the bridge knows the page again.
        this.instance = sessionStorage.getItem("instance") || crypto.randomUUID?.() || this.uuid();
        sessionStorage.setItem("instance", this.instance);
        this.transactions = new Map();
        this.calls = new Map();
        this.registerCallId = randomText(20);
        this.registerCseq = 0;
        this.wait = 1000;
        this.registered = false;
    }

    uuid() { const t = randomText(32).replace(/[g-z]/g, (c) => (c.charCodeAt(0) % 16).toString(16)); return t.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, "$1-$2-4$3-8$4-$5"); }
    tell(name, detail) { this.dispatchEvent(new CustomEvent(name, {detail})); }

    connect() {
        this.closing = false;
        this.socket = new WebSocket(this.url, "sip");
        this.socket.onopen = () => { this.wait = 1000; this.tell("connection", "connected"); this.register(600); };
        this.socket.onmessage = (event) => this.receive(event.data);
        this.socket.onclose = () => {
            this.registered = false;
            clearTimeout(this.refresh);
            for (const transaction of [...this.transactions.values()]) transaction.fail("the connection was lost");
            if (this.closing) return this.tell("connection", "closed");
            this.tell("connection", "lost");
            this.again = setTimeout(() => this.connect(), this.wait);
            this.wait = Math.min(this.wait * 2, 30000);
        };
    }

    async close() {
        this.closing = true;
        clearTimeout(this.again);
        clearTimeout(this.refresh);
        for (const call of [...this.calls.values()]) call.hangUp();
        if (this.registered) await this.register(0).catch(() => {});
        this.socket && this.socket.close();
    }

    async register(seconds) {
        const contact = `<${this.contact}>;reg-id=1;+sip.instance="<urn:uuid:${this.instance}>";expires=${seconds}`;
        const response = await this.request("REGISTER", `sip:${this.domain}`, {
            To: `<${this.aor}>`, From: `<${this.aor}>;tag=${randomText(10)}`, "Call-ID": this.registerCallId,
            Contact: contact, Supported: "path, outbound"}, "", () => ++this.registerCseq);
        if (response.status === 200) {
            this.registered = seconds > 0;
            if (!seconds) return;
            const own = response.list("contact").find((c) => c.includes(this.contact)) || "";
            const granted = Number((own.match(/;expires=(\d+)/i) || [0, seconds])[1]);
            this.refresh = setTimeout(() => this.register(600), Math.max(granted * 800, 30000));
            this.tell("registered");
        } else if (seconds) {
            this.tell("refused", {status: response.status, reason: response.reason});
        }
    }

    send(text) { if (this.socket && this.socket.readyState === WebSocket.OPEN) this.socket.send(text); }

    write(start, headers, body, type) {
        let out = start + "\r\n";
        for (const [name, value] of headers) out += `${name}: ${value}\r\n`;
        if (body) out += `Content-Type: ${type || "application/sdp"}\r\n`;
        this.send(out + `Content-Length: ${new TextEncoder().encode(body || "").length}\r\n\r\n${body || ""}`);
    }

    // Sends a request and, when challenged, once more with credentials. Resolves with the final response.
    async request(method, uri, headers, body, cseq, options) {
        const {provisional, type, routes, handle} = options || {};
        let extra = [];
        for (let attempt = 0; ; attempt++) {
            const branch = "z9hG4bK" + randomText(16), number = cseq();
            const lines = [["Via", `SIP/2.0/WS ${this.host};branch=${branch}`], ["Max-Forwards", "70"],
                           ...(routes || []).map((r) => ["Route", r]), ...Object.entries(headers),
                           ["CSeq", `${number} ${method}`], ...extra];
            if (handle) Object.assign(handle, {branch, number, lines, uri});
            const response = await new Promise((resolve) => {
                const end = (message) => { this.transactions.delete(branch); clearTimeout(timer); resolve(message); };
                const fail = (reason) => end(Object.assign(new SipMessage(), {status: 408, reason}));
                const timer = setTimeout(() => fail("no answer"), method === "INVITE" ? 200000 : 32000);
                this.transactions.set(branch, {end, fail, provisional: provisional || (() => {})});
                this.write(`${method} ${uri} SIP/2.0`, lines, body, type);
            });
            if (method === "INVITE" && response.status >= 300 && response.headers.length) // RFC 3261 §17.1.1.3
                this.write(`ACK ${uri} SIP/2.0`, lines.filter((l) => ["Via", "Max-Forwards", "Route", "From", "Call-ID"].includes(l[0]))
                    .concat([["To", response.get("to")], ["CSeq", `${number} ACK`]]));
            const proxy = response.status === 407;
            if (attempt || (!proxy && response.status !== 401)) return response;
            const value = await authorization(response.all(proxy ? "proxy-authenticate" : "www-authenticate"), method,
                                              uri, this.user, this.password);
            if (!value) return response;
            extra = [[proxy ? "Proxy-Authorization" : "Authorization", value]];
        }
    }

    respond(request, status, more, body) {
        const tag = request.localTag = request.localTag || randomText(10);
        const to = request.get("to");
        const lines = [...request.all("via").map((v) => ["Via", v]), ["From", request.get("from")],
                       ["To", request.tag("to") || status === 100 ? to : `${to};tag=${tag}`],
                       ["Call-ID", request.get("call-id")], ["CSeq", request.get("cseq")],
                       ...request.all("record-route").map((r) => ["Record-Route", r]), ...Object.entries(more || {})];
        this.write(`SIP/2.0 ${status} ${PHRASES[status] || "Failed"}`, lines, body);
    }

    receive(data) {
        if (typeof data !== "string" || data === "\r\n\r\n") { if (data === "\r\n\r\n") this.send("\r\n"); return; }
        const message = SipMessage.parse(data);
        if (!message) return;
        if (message.status) {
            const transaction = this.transactions.get(message.branch());
            if (transaction && message.status >= 200) transaction.end(message);
            else if (transaction) transaction.provisional(message);
            else if (message.status < 300 && message.cseq().method === "INVITE") { // a repeated 2xx
                const call = this.calls.get(message.get("call-id"));
                if (call) call.acknowledge();
            }
            return;
        }
        const call = this.calls.get(message.get("call-id"));
        if (call) return call.receive(message);
        switch (message.method) {
        case "INVITE": return new SipCall(this, message);
        case "ACK": return;
        case "OPTIONS": return this.respond(message, 200, {Allow: ALLOW, Accept: "application/sdp"});
        case "MESSAGE":
            this.respond(message, 200);
            return this.tell("message", {from: message.nameIn("from"), text: message.body});
        case "NOTIFY": return this.respond(message, 481);
        default: return this.respond(message, message.tag("to") ? 481 : 405, {Allow: ALLOW});
        }
    }

    address(target) { return /^sips?:/.test(target) ? target : `sip:${encodeURIComponent(target).replace(/%2B/g, "+")}@${this.domain}`; }
    call(target, video, extra) { return new SipCall(this, null, {target: this.address(target), video, extra}); }
}

// One call. States: calling, ringing, incoming, up, ended. Events: state, hold, stream.
class SipCall extends EventTarget {
    constructor(phone, invite, outgoing) {
        super();
        this.phone = phone;
        this.cseq = 0;
        this.held = this.remoteHeld = this.muted = false;
        this.routes = [];
        if (invite) this.incoming(invite); else this.dial(outgoing);
    }

    tell(name, detail) { this.dispatchEvent(new CustomEvent(name, {detail})); }
    change(state, why) { if (this.state === "ended") return; this.state = state; this.why = why; this.tell("state"); }
    nextCseq() { return () => ++this.cseq; }

    async media(video) {
        this.local = await navigator.mediaDevices.getUserMedia({audio: true, video: Boolean(video)});
        this.peer();
        for (const track of this.local.getTracks()) this.pc.addTrack(track, this.local);
    }

    peer() {
        if (this.pc) return;
        this.remote = new MediaStream();
        this.pc = new RTCPeerConnection({iceServers: [], bundlePolicy: "max-bundle"});
        this.pc.ontrack = (event) => { this.remote.addTrack(event.track); this.tell("stream"); };
        this.pc.onconnectionstatechange = () => { if (this.pc.connectionState === "failed") this.hangUp(); };
    }

    async gathered() {
        if (this.pc.iceGatheringState === "complete") return this.pc.localDescription.sdp;
        await new Promise((done) => {
            const timer = setTimeout(done, 1000);
            this.pc.onicegatheringstatechange = () => { if (this.pc.iceGatheringState === "complete") { clearTimeout(timer); done(); } };
        });
        return this.pc.localDescription.sdp;
    }

    async offer() { await this.pc.setLocalDescription(await this.pc.createOffer()); return this.gathered(); }
    async reply() { await this.pc.setLocalDescription(await this.pc.createAnswer()); return this.gathered(); }

    async dial({target, video, extra}) {
        const phone = this.phone;
        this.callId = randomText(22);
        this.localTag = randomText(10);
        this.remoteUri = target;
        this.who = decodeURIComponent((target.match(/^sips?:([^@]+)/) || [0, target])[1]);
        this.video = video;
        phone.calls.set(this.callId, this);
        this.state = "calling";
        this.handle = {};
        setTimeout(() => this.tell("state"));
        try {
            await this.media(video);
            const body = await this.offer();
            if (this.state === "ended") return;
            const response = await phone.request("INVITE", target, {
                From: `<${phone.aor}>;tag=${this.localTag}`, To: `<${target}>`, "Call-ID": this.callId,
                Contact: `<${phone.contact};ob>`, Allow: ALLOW, Supported: "outbound, replaces", ...extra}, body,
                this.nextCseq(), {handle: this.handle, provisional: (m) => this.early(m)});
            if (response.status >= 300) return this.end(response.status === 487 ? "cancelled" : `${response.status} ${response.reason}`);
            this.dialog(response, response.list("record-route").reverse(), response.tag("to"));
            this.inviteCseq = this.handle.number;
            this.acknowledge();
            if (this.cancelled) return this.hangUp();
            await this.take("answer", response.body);
            this.change("up");
        } catch (error) {
            if (this.remoteTag) this.bye();
            this.end(error.name === "NotAllowedError" ? "the microphone may not be used" : error.message);
        }
    }

    dialog(message, routes, tag) {
        this.routes = routes;
        this.remoteTag = tag;
        this.remoteTarget = message.uriIn("contact") || this.remoteUri;
    }

    async early(message) {
        this.provisional = true;
        if (this.cancelled) this.sendCancel();
        if (message.status === 180 || message.status === 183) this.change("ringing");
        if (message.body) await this.take("answer", message.body).catch(() => {});
    }

    // Descriptions come once early and once more with the answer, the same: the second changes nothing.
    async take(type, sdp) {
        if (type === "answer" && this.pc.signalingState !== "have-local-offer") return;
        await this.pc.setRemoteDescription({type, sdp});
        const held = /^a=(sendonly|inactive)\r?$/m.test(sdp);
        if (held !== this.remoteHeld) { this.remoteHeld = held; this.tell("hold"); }
    }

    acknowledge() {
        const lines = [["Via", `SIP/2.0/WS ${this.phone.host};branch=z9hG4bK${randomText(16)}`], ["Max-Forwards", "70"],
                       ...this.routes.map((r) => ["Route", r]), ...this.ends(), ["CSeq", `${this.inviteCseq} ACK`]];
        this.phone.write(`ACK ${this.remoteTarget} SIP/2.0`, lines, this.ackBody);
        this.ackBody = "";
    }

    ends() {
        return [["From", `<${this.phone.aor}>;tag=${this.localTag}`], ["To", `<${this.remoteUri}>;tag=${this.remoteTag}`],
                ["Call-ID", this.callId]];
    }

    within(method, more, body, options) {
        const headers = Object.fromEntries([...this.ends(), ["Contact", `<${this.phone.contact};ob>`], ["Allow", ALLOW],
                                            ...Object.entries(more || {})]);
        return this.phone.request(method, this.remoteTarget, headers, body, this.nextCseq(), {routes: this.routes, ...options});
    }

    incoming(invite) {
        const phone = this.phone;
        this.invite = invite;
        this.callId = invite.get("call-id");
        this.localTag = invite.localTag = randomText(10);
        this.remoteUri = invite.uriIn("from");
        this.who = invite.nameIn("from");
        this.offersVideo = /^m=video [1-9]/m.test(invite.body);
        phone.calls.set(this.callId, this);
        this.dialog(invite, invite.list("record-route"), invite.tag("from"));
        this.state = "incoming";
        const replaces = invite.get("replaces").split(";")[0];
        const replaced = replaces && phone.calls.get(replaces.trim());
        phone.respond(invite, 180, {Contact: `<${phone.contact}>`});
        phone.tell("call", this);
        if (replaced && replaced.state === "up") this.answer(false).then(() => replaced.hangUp());
    }

    async answer(video) {
        const invite = this.invite;
        if (!invite || this.state !== "incoming") return;
        try {
            this.change("connecting");
            await this.media(video);
            let body;
            if (invite.body) { await this.take("offer", invite.body); body = await this.reply(); } else body = await this.offer();
            if (this.state === "ended") return;
            this.phone.respond(invite, 200, {Contact: `<${this.phone.contact}>`, Allow: ALLOW, Supported: "outbound, replaces"}, body);
            this.invite = null;
            this.change("up");
        } catch (error) {
            if (this.state !== "ended") this.phone.respond(invite, 488);
            this.end(error.name === "NotAllowedError" ? "the microphone may not be used" : error.message);
        }
    }

    decline() { if (this.invite) this.phone.respond(this.invite, 603); this.end("declined"); }

    sendCancel() {
        const {uri, lines, number} = this.handle;
        this.cancelled = false;
        this.phone.write(`CANCEL ${uri} SIP/2.0`, lines.filter((l) => ["Via", "Max-Forwards", "Route", "From", "To", "Call-ID"].includes(l[0]))
            .concat([["CSeq", `${number} CANCEL`]]));
    }

    bye() { this.within("BYE"); }

    hangUp() {
        if (this.state === "incoming") return this.decline();
        if (this.state === "calling" || this.state === "ringing") {
            this.cancelled = true;
            if (this.provisional) this.sendCancel();
            if (!this.handle.branch) this.end("cancelled");
            return;
        }
        if (this.state === "ended") return;
        this.bye();
        this.end("");
    }

    end(why) {
        if (this.state === "ended") return;
        this.phone.calls.delete(this.callId);
        if (this.local) for (const track of this.local.getTracks()) track.stop();
        if (this.pc) this.pc.close();
        this.change("ended", why);
    }

    async receive(request) {
        const phone = this.phone;
        switch (request.method) {
        case "ACK":
            if (request.body && this.pc) await this.take("answer", request.body).catch(() => this.hangUp());
            return;
        case "CANCEL": // the bridge answers the INVITE's transaction, we its request
            phone.respond(request, 200);
            if (this.invite) { phone.respond(this.invite, 487); this.end(/cause=200/.test(request.get("reason")) ? "answered elsewhere" : "missed"); }
            return;
        case "BYE":
            phone.respond(request, 200);
            return this.end("");
        case "INVITE":
        case "UPDATE": return this.reinvited(request);
        case "INFO":
        case "OPTIONS": return phone.respond(request, 200, {Allow: ALLOW});
        case "MESSAGE":
            phone.respond(request, 200);
            return phone.tell("message", {from: this.who, text: request.body});
        case "NOTIFY": {
            phone.respond(request, 200);
            const status = Number((request.body.match(/^SIP\/2\.0 (\d{3})/) || [])[1]);
            if (status >= 200) this.transferred(status);
            return;
        }
        case "REFER": return this.referred(request);
        default: return phone.respond(request, 405, {Allow: ALLOW});
        }
    }

    async reinvited(request) {
        const more = {Contact: `<${this.phone.contact}>`};
        if (!this.pc) return this.phone.respond(request, 491);
        this.remoteTarget = request.uriIn("contact") || this.remoteTarget;
        if (!request.body) {
            if (request.method === "UPDATE") return this.phone.respond(request, 200, more);
            return this.phone.respond(request, 200, more, await this.offer());
        }
        if (this.pc.signalingState !== "stable") return this.phone.respond(request, 491);
        try {
            await this.take("offer", request.body);
            this.phone.respond(request, 200, more, await this.reply());
        } catch { this.phone.respond(request, 488); }
    }

    async hold(on) {
        for (const transceiver of this.pc.getTransceivers())
            if (transceiver.currentDirection !== "stopped") transceiver.direction = on ? "sendonly" : "sendrecv";
        const handle = {}, response = await this.within("INVITE", {}, await this.offer(), {handle});
        if (response.status >= 300) { await this.pc.setLocalDescription({type: "rollback"}).catch(() => {}); return false; }
        this.inviteCseq = handle.number;
        this.acknowledge();
        await this.take("answer", response.body);
        this.held = on;
        this.tell("hold");
        return true;
    }

    mute(on) {
        this.muted = on;
        for (const track of this.local.getAudioTracks()) track.enabled = !on;
    }

    digit(digit) {
        const sender = this.pc.getSenders().find((s) => s.dtmf && s.dtmf.canInsertDTMF);
        if (sender) sender.dtmf.insertDTMF(sender.dtmf.toneBuffer + digit, 160, 80);
        else this.within("INFO", {}, `Signal=${digit}\r\nDuration=160\r\n`, {type: "application/dtmf-relay"});
    }
    digits(text) { for (const digit of text) this.digit(digit); }

    // Resolves with the status that the transfer ended with.
    async transfer(target) {
        const response = await this.within("REFER", {"Refer-To": `<${this.phone.address(target)}>`, "Referred-By": `<${this.phone.aor}>`});
        if (response.status >= 300) return response.status;
        return new Promise((done) => { this.transferred = done; setTimeout(() => done(408), 60000); });
    }
    transferred() {}

    // The other side hands us over: call whom it names, and tell it how that went.
    async referred(request) {
        const target = request.uriIn("refer-to");
        if (!/^sip:/.test(target) || this.state !== "up") return this.phone.respond(request, 603);
        this.phone.respond(request, 202, {Contact: `<${this.phone.contact}>`});
        const [uri, query] = target.split("?");
        const replaces = new URLSearchParams(query || "").get("Replaces");
        const notify = (line, state) => this.within("NOTIFY", {Event: "refer", "Subscription-State": state}, line, {type: "message/sipfrag;version=2.0"});
        await notify("SIP/2.0 100 Trying", "active;expires=60");
        const call = this.phone.call(uri, false, replaces ? {Replaces: replaces} : {});
        this.phone.tell("call", call);
        call.addEventListener("state", () => {
            if (call.state === "up") notify("SIP/2.0 200 OK", "terminated;reason=noresource");
            if (call.state === "ended" && call.why) notify("SIP/2.0 603 Decline", "terminated;reason=noresource");
        });
    }
}
