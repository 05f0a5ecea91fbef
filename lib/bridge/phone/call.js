// One call. States: calling, ringing, incoming, connecting, up, ended (with why, and the status that ended it).
// Events: state, hold, stream, lack (no microphone), way (of the media: see path.broken).
"use strict";

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
    change(state, why, status) {
        if (this.state === "ended") return;
        Object.assign(this, {state, why, status});
        this.tell("state");
    }
    nextCseq() { return () => ++this.cseq; }

    // False: the call ended meanwhile.
    async media(video) {
        const {stream, lack} = await openSources(video);
        if (this.state === "ended") { closeSources(stream); return false; }
        this.local = stream;
        this.lack = lack;
        if (lack) this.tell("lack");
        this.peer();
        for (const track of stream.getTracks()) this.pc.addTrack(track, stream);
        // A camera that is missing does not hinder seeing the other side.
        if (video && !stream.getVideoTracks().length && !this.invite) this.pc.addTransceiver("video", {direction: "recvonly"});
        return true;
    }

    peer() {
        if (this.pc) return;
        this.remote = new MediaStream();
        this.pc = new RTCPeerConnection({iceServers: [], bundlePolicy: "max-bundle"});
        this.pc.ontrack = (event) => { this.remote.addTrack(event.track); this.tell("stream"); };
        this.path = new MediaPath(this);
    }

    async gathered() {
        if (this.pc.iceGatheringState === "complete") return this.pc.localDescription.sdp;
        await new Promise((done) => {
            const timer = setTimeout(done, 1000);
            this.pc.onicegatheringstatechange = () => { if (this.pc.iceGatheringState === "complete") { clearTimeout(timer); done(); } };
        });
        return this.pc.localDescription.sdp;
    }

    async offer(options) { await this.pc.setLocalDescription(await this.pc.createOffer(options)); return this.gathered(); }
    async reply() { await this.pc.setLocalDescription(await this.pc.createAnswer()); return this.gathered(); }

    async dial({target, video, extra}) {
        const phone = this.phone;
        this.callId = randomText(22);
        this.localTag = randomText(10);
        this.remoteUri = target;
        this.who = userOf(target);
        this.video = video;
        phone.calls.set(this.callId, this);
        this.state = "calling";
        this.handle = {};
        setTimeout(() => this.tell("state"));
        try {
            if (!await this.media(video)) return;
            const body = await this.offer();
            if (this.state === "ended") return;
            const response = await phone.request("INVITE", target, {
                From: `<${phone.aor}>;tag=${this.localTag}`, To: `<${target}>`, "Call-ID": this.callId,
                Contact: `<${phone.contact};ob>`, Allow: ALLOW, Supported: "outbound, replaces", ...extra}, body,
                this.nextCseq(), {handle: this.handle, provisional: (m) => this.early(m)});
            if (response.status >= 300) return this.end(response.status === 487 ? "cancelled" : response.reason, response.status);
            this.dialog(response, response.list("record-route").reverse(), response.tag("to"));
            this.inviteCseq = this.handle.number;
            this.acknowledge();
            if (this.cancelled) return this.hangUp();
            await this.take("answer", response.body);
            this.change("up");
        } catch (error) {
            if (this.remoteTag) this.bye();
            this.end(error.message);
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
        if (message.body) this.heard = true; // the other side makes its own ringing
        if (message.status === 180 || message.status === 183) this.change("ringing");
        if (message.body) await this.take("answer", message.body).catch(() => {});
    }

    // Descriptions come once early and once more with the answer, the same: the second changes nothing.
    async take(type, sdp) {
        if (type === "answer" && this.pc.signalingState !== "have-local-offer") return;
        await this.pc.setRemoteDescription({type, sdp});
        const audio = sdp.split(/^m=/m).find((part) => part.startsWith("audio")) || "";
        const held = /^a=(sendonly|inactive)\r?$/m.test(audio);
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
        if (invite.get("replaces")) return this.replace(invite);
        phone.respond(invite, 180, {Contact: `<${phone.contact}>`});
        phone.tell("call", this);
    }

    // RFC 3891: takes the place of a call that is up, without ringing.
    replace(invite) {
        const [callId, ...params] = invite.get("replaces").split(";").map((p) => p.trim());
        const tag = (name) => (params.find((p) => p.startsWith(name + "=")) || "").slice(name.length + 1);
        const old = this.phone.calls.get(callId);
        if (!old || old.state !== "up" || tag("to-tag") !== old.localTag || tag("from-tag") !== old.remoteTag) {
            this.phone.respond(invite, 481);
            this.invite = null;
            return this.end("nothing to replace");
        }
        this.replaced = old;
        this.phone.tell("call", this);
        this.answer(old.local.getVideoTracks().length > 0).then(() => old.hangUp());
    }

    async answer(video) {
        const invite = this.invite;
        if (!invite || this.state !== "incoming") return;
        try {
            this.change("connecting");
            if (!await this.media(video)) return;
            let body;
            if (invite.body) { await this.take("offer", invite.body); body = await this.reply(); } else body = await this.offer();
            if (this.state === "ended") return;
            this.phone.respond(invite, 200, {Contact: `<${this.phone.contact}>`, Allow: ALLOW, Supported: "outbound, replaces"}, body);
            this.invite = null;
            this.unconfirmed = setTimeout(() => this.hangUp(), 32000); // RFC 3261 §13.3.1.4
            this.change("up");
        } catch (error) {
            if (this.state !== "ended") this.phone.respond(invite, 488);
            this.invite = null;
            this.end(error.message, 488);
        }
    }

    // 603: no other phone of ours shall ring on. 486: only this one cannot.
    decline(status) {
        if (this.invite) this.phone.respond(this.invite, status || 603);
        this.invite = null;
        this.end(status ? "missed" : "declined");
    }

    sendCancel() {
        const {uri, lines, number} = this.handle;
        this.cancelled = false;
        this.phone.write(`CANCEL ${uri} SIP/2.0`, lines.filter((l) => ["Via", "Max-Forwards", "Route", "From", "To", "Call-ID"].includes(l[0]))
            .concat([["CSeq", `${number} CANCEL`]]));
    }

    bye() { this.within("BYE"); }

    hangUp() {
        if (this.state === "incoming" || this.invite) return this.decline();
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

    // What only rang here rings no more: the bridge has told the caller so. Calls that are up go on.
    disconnected() {
        if (!this.invite) return;
        this.invite = null;
        this.end("missed");
    }

    end(why, status) {
        if (this.state === "ended") return;
        clearTimeout(this.unconfirmed);
        this.phone.calls.delete(this.callId);
        closeSources(this.local);
        if (this.pc) this.pc.close();
        this.change("ended", why, status);
    }

    async receive(request) {
        const phone = this.phone;
        switch (request.method) {
        case "ACK":
            clearTimeout(this.unconfirmed);
            if (request.body && this.pc) await this.take("answer", request.body).catch(() => this.hangUp());
            return;
        case "CANCEL": // the bridge answers the INVITE's transaction, we its request
            phone.respond(request, 200);
            if (this.invite) { phone.respond(this.invite, 487); this.invite = null; this.end(/cause=200/.test(request.get("reason")) ? "answered elsewhere" : "missed"); }
            return;
        case "BYE":
            phone.respond(request, 200);
            return this.end(this.path?.broken ? "the way was lost" : "");
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

    // Describes the media anew. Resolves with the status; where that is a refusal all is as it was.
    async reinvite(options) {
        const handle = {}, response = await this.within("INVITE", {}, await this.offer(options), {handle});
        if (response.status >= 300) {
            await this.pc.setLocalDescription({type: "rollback"}).catch(() => {});
            return response.status;
        }
        this.inviteCseq = handle.number;
        this.acknowledge();
        await this.take("answer", response.body);
        return response.status;
    }

    async hold(on) {
        // What was received only (no camera) is received again, not sent.
        const usual = this.directions = this.directions || new Map(), before = [];
        for (const transceiver of this.pc.getTransceivers()) {
            const now = transceiver.direction;
            if (now === "stopped") continue;
            before.push([transceiver, now]);
            if (on) usual.set(transceiver, now);
            transceiver.direction = !on ? usual.get(transceiver) || "sendrecv" : now.startsWith("send") ? "sendonly" : "inactive";
        }
        if (await this.reinvite() >= 300) {
            for (const [transceiver, direction] of before) transceiver.direction = direction;
            return false;
        }
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

    // To an address, or to the other side of `consulted`, another call of ours, whose place is taken (RFC 3891).
    // Resolves with the status that the transfer ended with.
    async transfer(target, consulted) {
        const replaces = consulted && `${consulted.callId};to-tag=${consulted.remoteTag};from-tag=${consulted.localTag}`;
        const uri = consulted ? `${consulted.remoteUri.split(/[;?]/)[0]}?Replaces=${encodeURIComponent(replaces)}` : this.phone.address(target);
        const response = await this.within("REFER", {"Refer-To": `<${uri}>`, "Referred-By": `<${this.phone.aor}>`});
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
