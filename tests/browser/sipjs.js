// The phone of page.js on SIP.js instead of JsSIP: the same functions and events, as far as the tests need them.
"use strict";

Object.assign(phone, {
    start(options) {
        this.options = options;
        this.ua = new SIP.UserAgent({
            uri: SIP.UserAgent.makeURI(`sip:${options.user}@${options.domain}`),
            transportOptions: {server: options.url},
            authorizationUsername: options.user,
            authorizationPassword: options.password,
            logLevel: "warn",
            sessionDescriptionHandlerFactory: SIP.Web.defaultSessionDescriptionHandlerFactory(
                async () => this.stream(options.hz || 700, options.video)),
            sessionDescriptionHandlerFactoryOptions: {peerConnectionConfiguration: {iceServers: []}},
            delegate: {
                onInvite: (invitation) => {
                    this.session(invitation, "remote");
                    if (options.answer) invitation.accept();
                },
                onMessage: (message) => { message.accept(); this.note("message", {text: message.request.body}); },
            },
        });
        this.registerer = new SIP.Registerer(this.ua);
        this.registerer.stateChange.addListener((state) => this.note(state.toLowerCase()));
        return this.ua.start().then(() => { this.registerer.register(); });
    },

    session(session, originator) {
        const index = this.sessions.push(session) - 1;
        this.analyser = null; // what is heard from now on is this one's
        this.note("session", {index, originator});
        session.delegate = {
            onSessionDescriptionHandler: (handler) =>
                handler.peerConnection.addEventListener("track", (event) => this.hear(event)),
        };
        session.stateChange.addListener((state) => {
            if (state === "Established") this.note("confirmed", {index});
            if (state === "Terminated") this.note("ended", {index});
        });
        return index;
    },

    // more: options of SIP.Inviter, {earlyMedia: true}.
    call(target, more) {
        const inviter = new SIP.Inviter(this.ua, SIP.UserAgent.makeURI(target), more || {});
        const index = this.session(inviter, "local");
        inviter.invite({requestDelegate: {
            onProgress: (response) => this.note("progress", {index, tag: response.message.toTag}),
            onAccept: (response) => this.note("accepted", {index, tag: response.message.toTag}),
            onReject: (response) => this.note("failed", {index, status: response.message.statusCode})}});
        return index;
    },

    // An attended transfer: whom session `index` talks to calls whom session `other` talks to, in its place.
    transfer(index, other) {
        return this.sessions[index].refer(this.sessions[other], {requestDelegate: {
            onAccept: () => this.note("refer accepted"),
            onReject: (response) => this.note("refer refused", {status: response.message.statusCode})}});
    },

    // Resolves with the status of the re-INVITE.
    hold(index, on) {
        const session = this.sessions[index];
        session.sessionDescriptionHandlerOptionsReInvite = {hold: on};
        return new Promise((done) => session.invite({requestDelegate: {
            onAccept: (response) => done(response.message.statusCode),
            onReject: (response) => done(response.message.statusCode)}}));
    },

    connection(index) { return this.sessions[index].sessionDescriptionHandler.peerConnection; },

    // RFC 4733; not before a second of sound is sent: Chromium drops digits that come right after the connection.
    async digit(index, tone) {
        const sender = this.connection(index).getSenders().find((s) => s.dtmf);
        const ready = async () => sender.dtmf.canInsertDTMF && (await this.stats(index)).audioOut.sent > 50;
        while (!await ready()) await new Promise((done) => setTimeout(done, 50));
        return this.sessions[index].sessionDescriptionHandler.sendDtmf(tone);
    },

    // The application's own business with this library.
    async comeBack() {
        await this.ua.transport.disconnect();
        await this.ua.reconnect();
        await this.registerer.register();
    },
});
