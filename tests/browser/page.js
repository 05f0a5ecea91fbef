// A phone made of JsSIP for the tests: it sings one tone and measures what it hears.
"use strict";

const phone = {
    events: [],
    sessions: [],
    ua: null,

    note(name, data) {
        this.events.push(Object.assign({name, at: performance.now()}, data || {}));
    },

    // A stream that sings `hz`; a moving picture as well when `video`.
    stream(hz, video) {
        this.audio = this.audio || new AudioContext({sampleRate: 48000});
        const source = new OscillatorNode(this.audio, {frequency: hz});
        const level = new GainNode(this.audio, {gain: 0.3});
        const out = this.audio.createMediaStreamDestination();
        source.connect(level).connect(out);
        source.start();
        this.oscillator = source;
        if (video) {
            const canvas = document.createElement("canvas");
            canvas.width = 320; canvas.height = 240;
            const context = canvas.getContext("2d");
            let n = 0;
            setInterval(() => {
                context.fillStyle = `hsl(${n++ % 360} 80% 50%)`;
                context.fillRect(0, 0, 320, 240);
            }, 40);
            for (const track of canvas.captureStream(25).getVideoTracks()) out.stream.addTrack(track);
        }
        return out.stream;
    },

    start(options) {
        const socket = new JsSIP.WebSocketInterface(options.url);
        const spare = (options.spare || []).map((url) => ({socket: new JsSIP.WebSocketInterface(url), weight: 1}));
        this.socket = socket;
        this.options = options;
        this.ua = new JsSIP.UA(Object.assign({
            sockets: [{socket, weight: 2}, ...spare],
            uri: `sip:${options.user}@${options.domain}`,
            password: options.password,
            register: true,
            connection_recovery_min_interval: 1,
            connection_recovery_max_interval: 2,
        }, options.more || {}));
        for (const name of ["connected", "disconnected", "registered", "unregistered", "registrationFailed"])
            this.ua.on(name, (e) => this.note(name, {cause: e && e.cause}));
        this.ua.on("newRTCSession", (e) => this.session(e.session, e.originator));
        this.ua.on("newMessage", (e) => {
            if (e.originator === "remote") this.note("message", {text: e.request.body, from: e.request.from.uri.user});
        });
        this.ua.start();
    },

    session(session, originator) {
        const index = this.sessions.push(session) - 1;
        this.note("session", {index, originator, from: session.remote_identity && session.remote_identity.uri.user});
        for (const name of ["progress", "accepted", "confirmed", "hold", "unhold", "refer", "reinvite", "update"])
            session.on(name, (e) => this.note(name, {index, originator: e && e.originator}));
        for (const name of ["ended", "failed"])
            session.on(name, (e) => this.note(name, {index, cause: e.cause, originator: e.originator,
                status: e.message && e.message.status_code}));
        session.on("newDTMF", (e) => this.note("dtmf", {index, tone: e.dtmf.tone, originator: e.originator}));
        session.on("refer", (e) => this.options.refer && e.accept((s) => this.note("referred"), this.media()));
        session.on("replaces", (e) => e.accept());
        if (this.options.codecs) {
            const only = () => this.only(session.connection, this.options.codecs);
            if (session.connection) only(); else session.on("peerconnection", only);
        }
        const hook = () => session.connection.addEventListener("track", (e) => this.hear(e));
        if (session.connection) hook(); else session.on("peerconnection", hook);
        if (originator === "remote" && this.options.answer) {
            const accept = () => session.answer(this.media());
            this.options.answerAfter ? setTimeout(accept, this.options.answerAfter) : accept();
        }
    },

    // The connection offers and answers with these audio codecs alone: ["opus"].
    only(connection, names) {
        const keep = RTCRtpReceiver.getCapabilities("audio").codecs.filter((c) =>
            [...names, "telephone-event"].includes(c.mimeType.split("/")[1].toLowerCase()));
        for (const make of ["createOffer", "createAnswer"]) {
            const original = connection[make].bind(connection);
            connection[make] = (...args) => {
                for (const t of connection.getTransceivers())
                    if (t.receiver.track.kind === "audio") t.setCodecPreferences(keep);
                return original(...args);
            };
        }
    },

    media() {
        return {mediaStream: this.stream(this.options.hz || 700, this.options.video), pcConfig: {iceServers: []},
                sessionTimersExpires: 90};
    },

    hear(event) {
        this.note("track", {kind: event.track.kind});
        const stream = new MediaStream([event.track]);
        const element = document.createElement(event.track.kind);
        element.srcObject = stream;
        element.autoplay = true;
        element.muted = event.track.kind === "audio"; // Chrome feeds WebAudio only when somebody plays it
        document.body.append(element);
        element.play().catch(() => {});
        if (event.track.kind === "video") { this.video = element; return; }
        this.analyser = new AnalyserNode(this.audio, {fftSize: 16384, smoothingTimeConstant: 0});
        this.audio.createMediaStreamSource(stream).connect(this.analyser);
    },

    // The strongest frequency heard now, and its level.
    heard() {
        if (!this.analyser) return {hz: 0, db: -200};
        const bins = new Float32Array(this.analyser.frequencyBinCount);
        this.analyser.getFloatFrequencyData(bins);
        let best = 1;
        for (let i = 1; i < bins.length; i++) if (bins[i] > bins[best]) best = i;
        return {hz: best * this.audio.sampleRate / this.analyser.fftSize, db: bins[best]};
    },

    call(target, more) {
        const session = this.ua.call(target, Object.assign(this.media(), more || {}));
        return this.sessions.indexOf(session);
    },

    // Resolves with the status of the re-INVITE (or UPDATE, with {useUpdate: true}); 0: the call ended instead.
    hold(index, on, how) {
        const session = this.sessions[index];
        return new Promise((done) => {
            session.on("ended", () => done(0));
            if (!session[on ? "hold" : "unhold"](how || {}, () => done(200))) done(0);
        });
    },

    connection(index) { return this.sessions[index].connection; },

    async stats(index) {
        const out = {};
        for (const report of (await this.connection(index).getStats()).values()) {
            if (report.type === "inbound-rtp") out[report.kind] = {
                received: report.packetsReceived, lost: report.packetsLost, decoded: report.framesDecoded,
                key: report.keyFramesDecoded, pli: report.pliCount, width: report.frameWidth};
            if (report.type === "outbound-rtp") out[report.kind + "Out"] = {
                sent: report.packetsSent, pli: report.pliCount, fir: report.firCount, key: report.keyFramesEncoded};
            if (report.type === "transport") out.transport = {
                dtls: report.dtlsState, ice: report.iceState, cipher: report.srtpCipher, role: report.dtlsRole};
        }
        return out;
    },
};
window.phone = phone; // scripts of a test may run in a scope of their own, which sees only properties
