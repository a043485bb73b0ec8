import '@fontsource-variable/inter/wght.css';
import '@fontsource-variable/jetbrains-mono/wght.css';
import './mantine.css';
import './app.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { baseUrl } from './api/client';
import { App } from './app';
import { addressOf } from './lib/place';

const address = addressOf(location.href, baseUrl());
if (address !== null) history.replaceState(null, '', address);

const root = document.getElementById('root');
if (!root) throw new Error('index.html has no element with the id root');
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
