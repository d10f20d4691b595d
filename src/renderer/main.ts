// The window. It speaks to one backend, over a MessagePort in Electron or a WebSocket in a browser; from here on
// nobody knows which.
import { mount } from 'svelte';
import App from './App.svelte';
import { connectBackend } from './lib/client/connect-backend.ts';
import { AppState } from './lib/state/app-state.svelte.ts';

const client = connectBackend();
const app = new AppState(client, window);
app.link = client.state;
client.onState((state) => (app.link = state));

const target = document.getElementById('app');
if (target === null) throw new Error('index.html has no #app');
target.replaceChildren();
mount(App, { target, props: { app } });
