// What a call is sent: the microphone, and the camera where that is wanted. A browser that gives no microphone
// gives silence, so that whoever calls can still be heard and the door be opened.
"use strict";

// Why there is no microphone, in words. `name`: of the DOMException; none on pages without TLS.
function lackOfMicrophone(name) {
    if (name === "insecure") return "browsers give it to pages with https:// only";
    if (name === "NotAllowedError") return "this page may not use it: see the browser's settings for this page";
    if (name === "NotFoundError") return "none was found";
    return name === "NotReadableError" ? "another program uses it" : "the browser does not give it";
}

function silence() {
    const audio = new AudioContext(), out = new MediaStreamAudioDestinationNode(audio), {stream} = out;
    const nothing = new ConstantSourceNode(audio, {offset: 0}); // without a source nothing is sent at all
    nothing.connect(out);
    nothing.start();
    audio.resume();
    stream.getTracks()[0].addEventListener("stopped", () => audio.close());
    return stream;
}

// Resolves with {stream, lack}: lack is the name of what went wrong with the microphone, or "".
async function openSources(video) {
    const devices = navigator.mediaDevices;
    if (!devices) return {stream: silence(), lack: "insecure"};
    try {
        return {stream: await devices.getUserMedia({audio: true, video: Boolean(video)}), lack: ""};
    } catch (error) {
        if (video) return openSources(false); // a camera that is not there must not cost the call
        return {stream: silence(), lack: error.name};
    }
}

function closeSources(stream) {
    for (const track of stream ? stream.getTracks() : []) {
        track.stop();
        track.dispatchEvent(new Event("stopped"));
    }
}

// Asks for the microphone once, before the first call needs it. Resolves with the name of what is wrong, or "".
async function askForMicrophone(changed) {
    const state = await navigator.permissions?.query({name: "microphone"}).catch(() => null);
    if (state) state.onchange = () => askForMicrophone(changed).then(changed);
    if (state && state.state === "denied") return "NotAllowedError";
    const {stream, lack} = await openSources(false);
    closeSources(stream);
    return lack;
}

// Sounds made here. Ringing: 440 + 480 Hz, two seconds on, four off, loud; what the caller hears: 425 Hz, one
// second on, four off, quiet.
const RINGING = {tones: [440, 480], on: 2, every: 6, level: 0.08}, RINGBACK = {tones: [425], on: 1, every: 5, level: 0.03};

class Bell {
    start({tones, on, every, level}) {
        this.stop();
        const audio = this.audio = new AudioContext(), gain = new GainNode(audio, {gain: 0});
        gain.connect(audio.destination);
        for (const frequency of tones) {
            const tone = new OscillatorNode(audio, {frequency});
            tone.connect(gain);
            tone.start();
        }
        for (let t = 0; t < 200; t += every) {
            gain.gain.setValueAtTime(level, audio.currentTime + t);
            gain.gain.setValueAtTime(0, audio.currentTime + t + on);
        }
    }
    stop() {
        if (this.audio) this.audio.close();
        this.audio = null;
    }
}
