// The way that a call's media takes. When it is gone, perhaps with the network it led through, ICE is started anew
// (RFC 8445 §2.4), until there is a way again or the time is over in which the bridge keeps the call (RFC 7675 §5.1).
"use strict";

const PATIENCE = 30000; // ms that a call lasts without a way
const LULL = 2500;      // a way that is lost may come back by itself

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

class MediaPath {
    constructor(call) {
        this.call = call;
        this.broken = false;
        call.pc.addEventListener("connectionstatechange", () => this.look());
        this.moved = () => this.mend();
        call.phone.addEventListener("moved", this.moved);
        call.addEventListener("state", () => call.state === "ended" && this.close());
    }

    look() {
        const state = this.call.pc.connectionState;
        if (state === "connected") return this.found();
        if (state !== "disconnected" && state !== "failed") return;
        if (!this.broken) {
            this.broken = true;
            this.end = setTimeout(() => this.giveUp(), PATIENCE);
            this.call.tell("way");
        }
        if (state === "failed") return this.mend();
        this.lull = this.lull || setTimeout(() => this.broken && this.mend(), LULL);
    }

    found() {
        this.rest();
        if (!this.broken) return;
        this.broken = false;
        this.call.tell("way");
    }

    rest() {
        clearTimeout(this.end);
        clearTimeout(this.lull);
        this.end = this.lull = 0;
    }

    close() {
        this.rest();
        this.call.phone.removeEventListener("moved", this.moved);
    }

    // Offers go by signalling, which may be gone with the same network. One at a time.
    async mend() {
        const {call} = this;
        this.wanted = true;
        if (this.mending || call.state !== "up") return;
        for (this.mending = true; (this.wanted || this.broken) && call.state === "up";) {
            this.wanted = false;
            call.phone.check();
            await call.phone.ready();
            if (call.state !== "up") break;
            const status = await call.reinvite({iceRestart: true}).catch(() => 500);
            if (status === 481 || status === 408 && call.phone.registered) this.giveUp(); // RFC 5057 §5.1
            if (status < 300) await this.settled(5000); else await pause(1000 + 2000 * Math.random()); // RFC 3261 §14.1
        }
        this.mending = false;
    }

    async settled(ms) {
        if (!this.broken) return;
        await Promise.race([pause(ms), new Promise((done) => this.call.addEventListener("way", done, {once: true}))]);
    }

    giveUp() {
        if (this.call.state !== "up") return;
        this.call.bye();
        this.call.end("the way was lost");
    }
}
