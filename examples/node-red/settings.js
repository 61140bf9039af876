// Settings for the example pages. `node-red --userDir examples/node-red`; the broker comes from the environment:
// MQTT_HOST, MQTT_PORT, MQTT_USER, MQTT_PASSWORD.
module.exports = {
    flowFile: "flows.json",
    flowFilePretty: true,
    // flows_cred.json has names of variables only, no secret. Set a key here before you save passwords in the editor.
    credentialSecret: false,
    // Pages and editor have no login: they are for this machine only. `adminAuth` and `httpNodeAuth` give them one.
    uiHost: process.env.NODE_RED_HOST || "127.0.0.1",
    uiPort: process.env.NODE_RED_PORT || 1880,
    telemetry: { enabled: false },
};
