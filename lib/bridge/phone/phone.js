// The page around sip.js: log in, call, answer, keypad, hold, transfer, open the door.
"use strict";

const $ = (id) => document.getElementById(id);
let phone = null, config = null, ringing = null, waiting = null;

function status(text, state) {
    $("status").textContent = text;
    $("status").dataset.state = state;
}

function clock(from) {
    const seconds = Math.floor((Date.now() - from) / 1000);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

// Ringing made here: 440 + 480 Hz, two seconds on, four off.
function ring(on) {
    if (ringing) { ringing.close(); ringing = null; }
    if (!on) return;
    const audio = ringing = new AudioContext(), level = new GainNode(audio, {gain: 0});
    level.connect(audio.destination);
    for (const frequency of [440, 480]) { const tone = new OscillatorNode(audio, {frequency}); tone.connect(level); tone.start(); }
    for (let t = 0; t < 180; t += 6) { level.gain.setValueAtTime(0.08, audio.currentTime + t); level.gain.setValueAtTime(0, audio.currentTime + t + 2); }
    if (navigator.vibrate) navigator.vibrate([800, 400, 800]);
}

function logIn(user, password) {
    phone = new SipPhone({url: config.url, domain: config.domain, user, password});
    status("connecting …", "wait");
    phone.addEventListener("connection", (event) => {
        if (event.detail === "lost") status("connection lost, trying again …", "wait");
        if (event.detail === "connected") status("logging in …", "wait");
    });
    phone.addEventListener("registered", () => {
        status(`${user}: ready`, "on");
        $("login").hidden = true;
        $("dial").hidden = $("logout").hidden = false;
        $("login-error").textContent = "";
        if (!$("calls").children.length && $("incoming").hidden) $("target").focus();
    });
    phone.addEventListener("refused", (event) => {
        const wrong = [401, 403, 404, 407].includes(event.detail.status);
        $("login-error").textContent = wrong ? "Name or password is wrong." : `The server said: ${event.detail.status} ${event.detail.reason}`;
        logOut();
    });
    phone.addEventListener("call", (event) => event.detail.state === "incoming" ? incoming(event.detail) : show(event.detail));
    phone.addEventListener("message", (event) => {
        const line = document.createElement("p");
        line.textContent = `${event.detail.from}: ${event.detail.text}`;
        $("messages").append(line);
    });
    phone.connect();
}

function logOut() {
    const old = phone;
    phone = null;
    if (old) old.close();
    status("not connected", "off");
    $("login").hidden = false;
    $("dial").hidden = $("logout").hidden = $("incoming").hidden = true;
    ring(false);
    $("password").value = "";
    $("user").focus();
}

function incoming(call) {
    if (waiting) return call.decline(); // one at a time rings
    waiting = call;
    $("incoming-who").textContent = call.who;
    $("answer-video").hidden = !call.offersVideo;
    $("incoming").hidden = false;
    document.title = `${call.who} calls – offhook`;
    ring(true);
    $("answer").focus();
    call.addEventListener("state", () => {
        if (call.state === "incoming") return;
        if (waiting === call) { waiting = null; $("incoming").hidden = true; document.title = "offhook"; ring(false); }
        if (call.state === "ended" && call.why === "missed") note(`${call.who} called.`);
    });
}

function note(text) { $("note").textContent = text; }

function accept(video) {
    const call = waiting;
    if (!call) return;
    show(call);
    call.answer(video);
}

const STATES = {calling: "calling …", ringing: "ringing …", incoming: "rings", connecting: "connecting …"};

function show(call) {
    const card = $("call-template").content.firstElementChild.cloneNode(true);
    const part = (name) => card.querySelector(name);
    let up = 0;
    const media = () => {
        const video = call.remote && call.remote.getVideoTracks().length > 0;
        part("video").hidden = !video;
        const element = part(video ? "video" : "audio");
        if (element.srcObject !== call.remote) element.srcObject = call.remote;
    };
    const text = () => {
        if (call.state === "up") {
            up = up || Date.now();
            const hold = call.held ? ", on hold" : call.remoteHeld ? ", the other side holds" : "";
            part(".state").textContent = clock(up) + hold;
        } else {
            part(".state").textContent = STATES[call.state] || "";
        }
        for (const name of [".mute", ".hold", ".keys", ".transfer"]) part(name).disabled = call.state !== "up";
        part(".door").hidden = !config.doorCode || call.state !== "up";
        part(".hold").setAttribute("aria-pressed", String(call.held));
    };
    const timer = setInterval(text, 1000);
    part(".who").textContent = call.who;
    for (const key of "123456789*0#") {
        const button = document.createElement("button");
        button.textContent = key;
        button.addEventListener("click", () => call.digit(key));
        part(".keypad").append(button);
    }
    const fold = (button, box) => button.addEventListener("click", () => {
        box.hidden = !box.hidden;
        button.setAttribute("aria-expanded", String(!box.hidden));
        const first = box.querySelector("input, button");
        if (!box.hidden && first) first.focus();
    });
    fold(part(".keys"), part(".keypad"));
    fold(part(".transfer"), part(".transfer-form"));
    part(".mute").addEventListener("click", () => { call.mute(!call.muted); part(".mute").setAttribute("aria-pressed", String(call.muted)); });
    part(".hold").addEventListener("click", async () => { part(".hold").disabled = true; await call.hold(!call.held).catch(() => note("Hold did not work.")); text(); });
    part(".door").addEventListener("click", () => { call.digits(config.doorCode); note(""); });
    part(".hangup").addEventListener("click", () => call.hangUp());
    part(".transfer-form").addEventListener("submit", async (event) => {
        event.preventDefault();
        const target = part(".transfer-form input").value.trim();
        part(".state").textContent = `transferring to ${target} …`;
        const outcome = await call.transfer(target);
        if (outcome < 300) call.hangUp(); else note(`The transfer did not work (${outcome}).`);
    });
    card.addEventListener("keydown", (event) => {
        if (event.target.tagName !== "INPUT" && call.state === "up" && /^[0-9*#]$/.test(event.key)) call.digit(event.key);
    });
    call.addEventListener("stream", media);
    call.addEventListener("hold", text);
    call.addEventListener("state", () => {
        text();
        if (call.state !== "ended") return;
        clearInterval(timer);
        card.remove();
        if (call.why && call.why !== "cancelled") note(`${call.who}: ${call.why}`);
        if (!$("dial").hidden) $("target").focus();
    });
    note("");
    text();
    media();
    $("calls").append(card);
    part(".hangup").focus();
    return call;
}

$("login").addEventListener("submit", (event) => {
    event.preventDefault();
    if (config && !phone) logIn($("user").value.trim(), $("password").value);
});
$("logout").addEventListener("click", logOut);
$("call-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const target = $("target").value.trim();
    if (target && phone) show(phone.call(target, Boolean(event.submitter && event.submitter.value === "video")));
});
$("answer").addEventListener("click", () => accept(false));
$("answer-video").addEventListener("click", () => accept(true));
$("decline").addEventListener("click", () => waiting && waiting.decline());
document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && waiting) waiting.decline();
});
window.addEventListener("pagehide", () => phone && phone.close());

fetch("config.json").then((answer) => answer.json()).then((value) => { config = value; $("user").focus(); })
    .catch(() => status("the bridge does not answer", "off"));
