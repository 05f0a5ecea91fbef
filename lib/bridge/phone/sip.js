// A user agent on a WebSocket (RFC 7118): registration, transactions, what comes in.
// Events: connection (connected, lost, closed, trouble), registered, refused, moved (another network), call, message.
"use strict";

const PULSE = 25000; // ms between keep-alives (RFC 5626 §3.5.1); a proxy between may end what is silent for a minute

class SipPhone extends EventTarget {
    // options: {url, domain, user, password}
    constructor(options) {
        super();
        Object.assign(this, options);
        this.aor = `sip:${encodeURIComponent(this.user)}@${this.domain}`;
        this.host = `${randomText(12)}.invalid`;
        this.contact = `sip:${randomText(8)}@${this.host};transport=ws`;
        this.transactions = new Map();
        this.calls = new Map();
        this.registerCallId = randomText(20);
        this.registerCseq = 0;
        this.wait = 1000;
        this.registered = false;
        this.outbox = []; // what could not be sent while the connection was gone
        const signal = (this.over = new AbortController()).signal;
        addEventListener("online", () => this.moved(), {signal});
        document.addEventListener("visibilitychange", () => document.hidden || this.check(), {signal});
        const network = navigator.connection;
        let before = network?.type;
        network?.addEventListener("change", () => {
            if (network.type !== before) this.moved();
            before = network.type;
        }, {signal});
    }

    // Another network than before, perhaps: nobody tells of connections that were left behind in the old one.
    moved() {
        if (this.again) this.connect(); else this.check();
        this.tell("moved");
    }

    // One for each tab, kept over a reload: the bridge knows the page again. A tab that was duplicated has the
    // storage of the other one; whoever holds the lock is the device.
    static async instanceOfTab() {
        const claim = (id) => !navigator.locks || SipPhone.claimed === id ||
            new Promise((done) => navigator.locks.request(`offhook ${id}`, {ifAvailable: true}, (lock) => {
                done(Boolean(lock));
                return lock && new Promise(() => {});
            }));
        let id = sessionStorage.getItem("instance");
        if (!id || !await claim(id)) {
            id = crypto.randomUUID?.() || uuid();
            await claim(id);
        }
        sessionStorage.setItem("instance", SipPhone.claimed = id);
        return id;
    }

    tell(name, detail) { this.dispatchEvent(new CustomEvent(name, {detail})); }

    async connect() {
        clearTimeout(this.again);
        this.closing = false;
        this.again = null;
        this.instance = await SipPhone.instanceOfTab();
        if (this.closing || this.socket) return;
        const socket = this.socket = new WebSocket(this.url, "sip");
        this.due = setTimeout(() => this.lost(), 10000);
        socket.onopen = () => { this.heard(); this.tell("connection", "connected"); this.register(600); };
        socket.onmessage = (event) => { this.heard(); this.receive(event.data); };
        socket.onclose = () => this.lost();
        clearInterval(this.pulse);
        this.pulse = setInterval(() => this.check(10000), PULSE);
    }

    // Is anybody there? Without an answer in time the connection is given up.
    check(patience = 3000) {
        if (!this.socket || this.due || this.socket.readyState !== WebSocket.OPEN) return;
        this.socket.send("\r\n\r\n");
        this.due = setTimeout(() => this.lost(), patience);
    }

    heard() {
        clearTimeout(this.due);
        this.due = 0;
    }

    ready() {
        return this.registered ? Promise.resolve() : new Promise((done) => this.addEventListener("registered", done, {once: true}));
    }

    // Dead connections take a minute to close: they are not waited for.
    lost() {
        const socket = this.socket;
        if (!socket) return;
        socket.onopen = socket.onmessage = socket.onclose = null;
        socket.close();
        this.socket = null;
        this.registered = false;
        this.heard();
        clearInterval(this.pulse);
        clearTimeout(this.refresh);
        for (const transaction of [...this.transactions.values()]) transaction.fail("the connection was lost");
        for (const call of [...this.calls.values()]) call.disconnected();
        if (this.closing) return this.tell("connection", "closed");
        this.tell("connection", "lost");
        // Not all pages of a bridge that starts again at the same moment.
        this.again = setTimeout(() => this.connect(), this.wait * (0.5 + Math.random() / 2));
        this.wait = Math.min(this.wait * 2, 30000);
    }

    async close() {
        this.closing = true;
        clearTimeout(this.again);
        clearTimeout(this.refresh);
        this.over.abort();
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
            this.welcome = true;
            this.doorCode = response.get("door-code");
            this.wait = 1000;
            const own = response.list("contact").find((c) => c.includes(this.contact)) || "";
            const granted = Number((own.match(/;expires=(\d+)/i) || [0, seconds])[1]);
            this.refresh = setTimeout(() => this.register(600), Math.max(granted * 800, 30000));
            this.tell("registered");
            for (const {text, at} of this.outbox.splice(0)) if (Date.now() - at < 30000) this.send(text);
        } else if (!seconds || this.closing) {
            return;
        } else if (!response.headers.length) { // nobody answered: a new connection may help
            this.lost();
        } else if (response.status >= 500 || this.welcome && response.status === 403) { // locked for what others did, perhaps
            this.registered = false;
            this.tell("connection", "trouble");
            this.refresh = setTimeout(() => this.register(600), 1000 * Math.max(Number(response.get("retry-after")) || 0, 10));
        } else {
            this.tell("refused", {status: response.status, reason: response.reason});
        }
    }

    // Without a connection nothing is sent, but what ends or confirms a call: that is said when there is one again.
    send(text) {
        if (this.socket && this.socket.readyState === WebSocket.OPEN) this.socket.send(text);
        else if (!this.closing && this.outbox.length < 50 && /^(BYE|ACK) /.test(text)) this.outbox.push({text, at: Date.now()});
        else return false;
        return true;
    }

    write(start, headers, body, type) {
        let out = start + "\r\n";
        for (const [name, value] of headers) out += `${name}: ${String(value).replace(/[\r\n]+/g, " ")}\r\n`;
        if (body) out += `Content-Type: ${type || "application/sdp"}\r\n`;
        return this.send(out + `Content-Length: ${new TextEncoder().encode(body || "").length}\r\n\r\n${body || ""}`);
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
                const timer = setTimeout(() => fail("no answer"), provisional ? 200000 : 32000);
                this.transactions.set(branch, {end, fail, provisional: provisional || (() => {})});
                if (!this.write(`${method} ${uri.replace(/\s/g, "")} SIP/2.0`, lines, body, type)) fail("the connection was lost");
            });
            if (method === "INVITE" && response.status >= 300 && response.headers.length) // RFC 3261 §17.1.1.3
                this.write(`ACK ${uri} SIP/2.0`, lines.filter((l) => ["Via", "Max-Forwards", "Route", "From", "Call-ID"].includes(l[0]))
                    .concat([["To", response.get("to")], ["CSeq", `${number} ACK`]]));
            const proxy = response.status === 407;
            if (attempt || (!proxy && response.status !== 401)) return response;
            const proof = await authorization(response.all(proxy ? "proxy-authenticate" : "www-authenticate"), method,
                                              uri, this.user, this.password, method === "REGISTER" ? "" : this.realm);
            if (!proof) return response;
            if (method === "REGISTER") this.realm = proof.realm;
            extra = [[proxy ? "Proxy-Authorization" : "Authorization", proof.value]];
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
        if (typeof data !== "string" || data === "\r\n") return;
        if (data === "\r\n\r\n") return this.send("\r\n");
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
