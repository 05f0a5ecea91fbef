// What a call looks like on the page: its card, with a button for everything that can be done with it.
"use strict";

const STATES = {calling: "calling …", ringing: "ringing …", connecting: "connecting …"};
const KEYS = {"*": "star", "#": "hash"};

// How a call that came to nothing is told.
function outcome({who, why, status}) {
    const known = {403: `You may not call ${who}.`, 404: `Nobody here is called ${who}.`, 408: `${who} does not answer.`,
                   480: `${who} is not there.`, 484: `${who} is not a whole number.`, 486: `${who} is busy.`,
                   488: `${who} and this browser have no common codec.`, 503: "The bridge is busy: try again.",
                   600: `${who} is busy.`, 603: `${who} declined.`, 604: `Nobody is called ${who}.`};
    if (why === "the connection was lost") return "The connection to the bridge was lost.";
    if (why === "the way was lost") return `The connection with ${who} was lost.`;
    if (why === "answered elsewhere") return `${who}: answered elsewhere.`;
    if (why === "missed") return `${who} called at ${new Date().toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"})}.`;
    if (!why || why === "cancelled" || why === "declined" || why === "nothing to replace") return "";
    return known[status] || `${who}: ${why}${status ? ` (${status})` : ""}`;
}

function clock(from) {
    const seconds = Math.floor((Date.now() - from) / 1000), two = (n) => String(n).padStart(2, "0");
    const minutes = Math.floor(seconds / 60);
    return `${minutes < 60 ? minutes : `${Math.floor(minutes / 60)}:${two(minutes % 60)}`}:${two(seconds % 60)}`;
}

// Takes its place in #calls until the call is over.
class Card {
    // page: {doorCode, note(text), others(call), over(card)}
    constructor(call, page) {
        Object.assign(this, {call, page, since: 0, bell: new Bell()});
        this.element = document.getElementById("call-template").content.firstElementChild.cloneNode(true);
        this.element.setAttribute("aria-label", `Call with ${call.who}`);
        this.part(".who").textContent = call.who;
        this.buttons();
        this.keypad();
        this.transfer();
        this.timer = setInterval(() => this.time(), 1000);
        for (const name of ["hold", "lack", "way"]) call.addEventListener(name, () => this.show());
        call.addEventListener("stream", () => this.media());
        call.addEventListener("state", () => this.changed());
        this.changed();
        document.getElementById("calls").prepend(this.element);
        this.element.focus();
    }

    part(selector) { return this.element.querySelector(selector); }
    on(selector, event, handler) { this.part(selector).addEventListener(event, handler); }

    changed() {
        const {call} = this;
        if (call.state === "up" && !this.since) this.since = Date.now();
        if (call.state === "ringing" && !call.heard) this.bell.start(RINGBACK); else this.bell.stop();
        if (call.state === "ended") return this.over();
        this.show();
        this.media();
    }

    over() {
        clearInterval(this.timer);
        const focused = this.element.contains(document.activeElement);
        this.element.remove();
        this.page.note(outcome(this.call));
        this.page.over(focused);
    }

    time() { if (this.since) this.part(".clock").textContent = clock(this.since); }

    show() {
        const {call} = this, up = call.state === "up";
        let words = STATES[call.state] || "";
        if (up) words = call.held ? ", on hold" : call.remoteHeld ? ", the other side holds" : "";
        if (up && call.path.broken) words += ", the connection is lost, trying again …";
        if (up && call.lack) words += ", they cannot hear you";
        this.time();
        if (this.part(".words").textContent !== words) this.part(".words").textContent = words;
        for (const name of [".mute", ".hold", ".keys", ".transfer"]) this.part(name).disabled = !up;
        this.part(".mute").disabled = !up || Boolean(call.lack);
        this.part(".door").hidden = !this.page.doorCode || !up;
        this.part(".hold").setAttribute("aria-pressed", String(call.held));
    }

    media() {
        const {call} = this, video = Boolean(call.remote && call.remote.getVideoTracks().length);
        const element = this.part(video ? ".theirs" : "audio");
        this.part(".theirs").hidden = !video;
        this.part(".theirs").setAttribute("aria-label", `Video of ${call.who}`);
        if (element.srcObject !== call.remote) element.srcObject = call.remote;
        const own = call.local && call.local.getVideoTracks().length ? call.local : null;
        this.part(".mine").hidden = !own;
        if (this.part(".mine").srcObject !== own) this.part(".mine").srcObject = own;
    }

    digit(key) {
        this.call.digit(key);
        this.keysSent = ((this.keysSent || "") + key).slice(-24);
        this.part(".sent").textContent = `Sent: ${this.keysSent}`;
    }

    buttons() {
        const {call} = this;
        this.on(".mute", "click", () => {
            call.mute(!call.muted);
            this.part(".mute").setAttribute("aria-pressed", String(call.muted));
        });
        this.on(".hold", "click", () => this.hold(!call.held));
        this.on(".door", "click", () => {
            if (Date.now() - this.since < 600) return; // the second half of a double click on "Answer"
            call.digits(this.page.doorCode);
            this.part(".sent").textContent = "The door's code was sent.";
        });
        this.on(".hangup", "click", () => {
            this.part(".hangup").disabled = call.state === "calling" || call.state === "ringing";
            call.hangUp();
        });
    }

    async hold(on) {
        if (this.call.state !== "up" || this.call.held === on) return;
        this.part(".hold").disabled = true;
        const done = await this.call.hold(on).catch(() => false);
        if (!done && this.call.state === "up") this.page.note("Hold did not work: try again.");
        this.show();
    }

    fold(button, box, opened) {
        this.on(button, "click", () => {
            const open = this.part(box).hidden;
            this.part(box).hidden = !open;
            this.part(button).setAttribute("aria-expanded", String(open));
            if (open && opened) opened();
            if (open) this.part(`${box} input, ${box} button`).focus();
        });
    }

    keypad() {
        for (const key of "123456789*0#") {
            const button = document.createElement("button");
            button.textContent = key;
            if (KEYS[key]) button.setAttribute("aria-label", KEYS[key]);
            button.addEventListener("click", () => this.digit(key));
            this.part(".keypad").append(button);
        }
        this.fold(".keys", ".keypad");
        this.element.addEventListener("keydown", (event) => {
            const plain = !event.ctrlKey && !event.altKey && !event.metaKey && event.target.tagName !== "INPUT";
            if (plain && this.call.state === "up" && /^[0-9*#]$/.test(event.key)) this.digit(event.key);
        });
    }

    transfer() {
        this.fold(".transfer", ".transfer-form", () => {
            this.part(".joins").replaceChildren(...this.page.others(this.call).map((other) => {
                const button = document.createElement("button");
                button.type = "button";
                button.textContent = `Connect with ${other.who}`;
                button.addEventListener("click", () => this.refer(other.who, other));
                return button;
            }));
        });
        this.on(".transfer-form", "submit", (event) => {
            event.preventDefault();
            this.refer(this.part(".transfer-form input").value.trim());
        });
    }

    async refer(target, consulted) {
        if (!target) return;
        this.part(".words").textContent = `, transferring to ${target} …`;
        const status = await this.call.transfer(target, consulted);
        if (status < 300) return this.call.hangUp();
        this.page.note(`The transfer did not work. ${outcome({who: target, why: "refused", status})}`);
        this.show();
    }
}
