/** Sign-up and log-in, on the page where they are needed. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useId, useState } from 'preact/hooks';
import type { Result, Session } from '../../src/client/index.ts';
import { announce } from './announce.ts';
import { sentenceOf, sentenceOfFailure } from './problems.ts';
import { client, keepLogin } from './session.ts';
import { texts } from './texts.ts';

const t = texts({
  en: {
    logIn: 'Log in',
    signUp: 'Sign up',
    email: 'E-mail',
    password: 'Password',
    passwordHint: '8 characters or more',
    name: 'Name (if you like)',
    toSignUp: 'No account yet? Sign up',
    toLogIn: 'I have an account: log in',
    wrong: 'Address or password is not right.',
    busy: 'One moment …',
    done: 'You are logged in.',
  },
  ko: {
    logIn: '로그인',
    signUp: '회원가입',
    email: '이메일',
    password: '비밀번호',
    passwordHint: '8자 이상',
    name: '이름 (선택)',
    toSignUp: '계정이 없으신가요? 회원가입',
    toLogIn: '이미 계정이 있으신가요? 로그인',
    wrong: '이메일 또는 비밀번호가 맞지 않습니다.',
    busy: '잠시만 기다려 주세요…',
    done: '로그인되었습니다.',
  },
});

export interface AuthFormProps {
  /** Above the fields: why it is needed here. */
  readonly reason?: string;
}

/** Who is logged in afterwards, `useLogin` tells everybody. */
export function AuthForm({ reason }: AuthFormProps): VNode {
  const [isNew, setIsNew] = useState(false);
  const [isBusy, setIsBusy] = useState(false);
  const [fault, setFault] = useState('');
  const hintId = useId();

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (isBusy) return;
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const email = String(fields.get('email')).trim();
    const password = String(fields.get('password'));
    const name = String(fields.get('name') ?? '').trim();
    setIsBusy(true);
    setFault('');
    try {
      const result = await enter(email, password, name);
      if (result.ok) {
        announce(t.done);
        return keepLogin({ ...result.value, email });
      }
      setFault(result.problem.code === 'unauthorized' ? t.wrong : sentenceOf(result.problem));
    } catch (thrown) {
      setFault(sentenceOfFailure(thrown));
    } finally {
      setIsBusy(false);
    }
  }

  async function enter(email: string, password: string, name: string): Promise<Result<Session>> {
    if (isNew) {
      const signedUp = await client.signUp({ email, password, ...(name === '' ? {} : { name }) });
      if (!signedUp.ok && signedUp.problem.code !== 'email_taken') return signedUp;
      // Taken by themselves, perhaps: an answer was lost, or they had forgotten. Then the password is right.
      const loggedIn = await client.logIn(email, password);
      return !signedUp.ok && !loggedIn.ok && loggedIn.problem.code === 'unauthorized' ? signedUp : loggedIn;
    }
    return client.logIn(email, password);
  }

  function change(): void {
    if (isBusy) return;
    setIsNew(!isNew);
    setFault('');
  }

  const title = isNew ? t.signUp : t.logIn;
  return html`
    <form class="card auth" aria-label=${title} aria-busy=${isBusy} onSubmit=${submit}>
      <h2>${title}</h2>
      ${reason !== undefined && html`<p>${reason}</p>`}
      <label>${t.email}<input name="email" type="email" autocomplete="username" required maxlength="254" /></label>
      <label>${t.password}
        <input name="password" type="password" required minlength=${isNew ? 8 : 1} maxlength="256"
          autocomplete=${isNew ? 'new-password' : 'current-password'} aria-describedby=${isNew ? hintId : undefined} />
      </label>
      ${isNew && html`<p class="hint soft" id=${hintId}>${t.passwordHint}</p>`}
      ${isNew && html`<label>${t.name}<input name="name" autocomplete="name" maxlength="100" /></label>`}
      ${fault !== '' && html`<p class="notice bad" role="alert">${fault}</p>`}
      <div class="row">
        <button type="submit" class="primary" aria-disabled=${isBusy}>${isBusy ? t.busy : title}</button>
        <button type="button" class="quiet" onClick=${change}>${isNew ? t.toLogIn : t.toSignUp}</button>
      </div>
    </form>
  ` as VNode;
}
