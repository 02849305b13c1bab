/** A page. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { AuthForm } from '../lib/auth-form.ts';
import { Shell, show } from '../lib/shell.ts';

show(html`<${Shell} title="queue"><h1>queue</h1><${AuthForm} /></${Shell}>` as VNode);
