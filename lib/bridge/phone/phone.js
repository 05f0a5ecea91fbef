// The page: log in, call, be called.
"use strict";

const $ = (id) => document.getElementById(id);
let phone = null, config = null, waiting = null, typed = -Infinity;
const bell = new Bell(), cards = new Map();

function status(text, state) {
    $("status").textContent = text;
    $("status").dataset.state = state;
}

function note(text) { $("note").textContent = text; }

function microphone(lack) {
    $("microphone").textContent = lack ? `You will not be heard. The microphone: ${lackOfMicrophone(lack)}.` : "";
}

// Where the next call is placed; on a touch screen without the keyboard that a text field brings.
function home() {
    if (document.activeElement === $("target") || !$("incoming").hidden) return;
    if (matchMedia("(pointer: coarse)").matches) return $("call-audio").focus();
    $("target").focus();
    $("target").select();
}

function refusal({status, reason}) {
    if (status === 403 && /passwords/i.test(reason)) return "Too many wrong passwords: wait a minute, then try again.";
    if (status === 403 && /devices/i.test(reason)) return "You are logged in on too many devices.";
    if ([401, 403, 404, 407].includes(status)) return "Name or password is wrong.";
    return `The bridge refused: ${reason} (${status}).`;
}

function logIn(user, password) {
    phone = new SipPhone({url: config.url, domain: config.domain, user, password});
    let before = false;
    status("connecting …", "wait");
    phone.addEventListener("connection", ({detail}) => {
        if (detail === "lost") status("no connection, trying again …", "wait");
        if (detail === "connected") status("logging in …", "wait");
        if (detail === "trouble") status("the bridge cannot log in now, trying again …", "wait");
    });
    phone.addEventListener("registered", () => {
        status(`${user}: ready`, "on");
        if (before) return;
        before = true;
        $("login").hidden = true;
        $("dial").hidden = $("logout").hidden = false;
        $("login-error").textContent = $("password").value = "";
        sessionStorage.setItem("user", user);
        if (!cards.size) home();
        askForMicrophone(microphone).then(microphone);
    });
    phone.addEventListener("refused", ({detail}) => {
        logOut();
        $("login-error").textContent = refusal(detail);
        $("password").focus();
    });
    phone.addEventListener("call", ({detail}) => detail.state === "incoming" && !detail.replaced ? incoming(detail) : show(detail));
    phone.addEventListener("message", ({detail}) => {
        const line = document.createElement("p");
        line.textContent = `${detail.from}: ${detail.text}`;
        $("messages").append(line);
        while ($("messages").childElementCount > 50) $("messages").firstChild.remove();
    });
    phone.connect();
}

function logOut() {
    const old = phone;
    phone = null;
    if (old) old.close();
    status("not connected", "off");
    $("login").hidden = false;
    $("dial").hidden = $("logout").hidden = true;
    $("password").value = $("login-note").textContent = "";
    $("messages").replaceChildren();
    note("");
    $("user").focus();
}

function incoming(call) {
    if (waiting) { // one at a time rings
        call.addEventListener("state", () => note(outcome(call)));
        return call.decline(486);
    }
    waiting = call;
    $("incoming-who").textContent = call.who;
    $("incoming-what").textContent = call.offersVideo ? "Incoming video call" : "Incoming call";
    $("answer-video").hidden = !call.offersVideo;
    $("incoming").hidden = false;
    document.title = `${call.who} calls – offhook`;
    bell.start(RINGING);
    if (navigator.vibrate) navigator.vibrate([800, 400, 800]);
    // Somebody who is typing must not answer with the next key.
    if (performance.now() - typed > 2000) $("answer").focus();
    call.addEventListener("state", () => {
        if (call.state === "incoming" || waiting !== call) return;
        waiting = null;
        $("incoming").hidden = true;
        document.title = "offhook";
        bell.stop();
        if (call.state !== "ended" || cards.has(call)) return;
        note(outcome(call));
        if (!cards.size) home();
    });
}

// A call that is heard is heard alone.
function holdOthers(call) {
    for (const [other, card] of cards) if (other !== call && other !== call.replaced) card.hold(true);
}

function show(call) {
    note("");
    holdOthers(call);
    cards.set(call, new Card(call, {
        doorCode: phone.doorCode,
        note,
        others: (but) => [...cards.keys()].filter((other) => other !== but && other.state === "up"),
        over: (focused) => {
            cards.delete(call);
            const next = [...cards.values()].pop();
            if (focused && next) next.element.focus(); else if (!cards.size && phone) home();
        }}));
    call.addEventListener("hold", () => { if (!call.held) holdOthers(call); });
    call.addEventListener("lack", () => microphone(call.lack));
}

function accept(video) {
    const call = waiting;
    if (!call) return;
    show(call);
    call.answer(video);
}

$("login").addEventListener("submit", (event) => {
    event.preventDefault();
    $("login-error").textContent = $("login-note").textContent = "";
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
document.addEventListener("input", () => { typed = performance.now(); });
// The browser asks before a call ends by mistake. One that is ended all the same is told of when the page is back.
window.addEventListener("beforeunload", (event) => { if (cards.size) event.preventDefault(); });
window.addEventListener("pagehide", () => {
    const ended = [...cards.keys()].filter((call) => call.state === "up").map((call) => call.who);
    if (ended.length) sessionStorage.setItem("ended", ended.join(", "));
    if (phone) phone.close();
});
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

// After a reload: who it was, and what became of the calls.
function greet() {
    const ended = sessionStorage.getItem("ended");
    sessionStorage.removeItem("ended");
    if (ended) $("login-note").textContent = `The page was loaded again: the call with ${ended} has ended.`;
    $("user").value = $("user").value || sessionStorage.getItem("user") || "";
    $($("user").value ? "password" : "user").focus();
}

function load() {
    fetch("config.json").then((answer) => answer.json()).then((value) => {
        // As this page was reached: a proxy with TLS may be between.
        const url = new URL("ws", location.href);
        url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
        config = {...value, url: url.href};
        status("not connected", "off");
        greet();
    }).catch(() => {
        status("the bridge does not answer", "off");
        setTimeout(load, 3000);
    });
}
load();
