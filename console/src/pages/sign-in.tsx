// Sign in, and sign up.
import { Anchor, Button, PasswordInput, Stack, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useEffect, useState, type FormEvent } from 'react';
import { Link } from 'react-router';
import { call } from '../api/client';
import { adviceFor, troubleOf } from '../api/errors';
import { setToken } from '../api/session';
import { passwordProblem } from '../lib/password';
import { Logo } from '../shell/logo';
import css from './sign-in.module.css';

export default function SignIn({ act }: { act: 'sign-in' | 'sign-up' }) {
  const isNew = act === 'sign-up';
  const title = isNew ? 'Create an account' : 'Sign in';
  useEffect(() => {
    document.title = `${title} · Vectron`;
  }, [title]);
  return (
    <main className={css.door}>
      <div className={css.box}>
        <div className={css.brand}>
          <Logo size={34} /> Vectron
        </div>
        <h1 className={css.title}>{title}</h1>
        <Form key={act} isNew={isNew} />
        <p className={css.other}>
          {isNew ? 'You have an account? ' : 'No account yet? '}
          <Anchor component={Link} to={isNew ? '/sign-in' : '/sign-up'} underline="always" inherit>
            {isNew ? 'Sign in' : 'Create one'}
          </Anchor>
        </p>
      </div>
    </main>
  );
}

function Form({ isNew }: { isNew: boolean }) {
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const [secret, setSecret] = useState('');
  const [touched, setTouched] = useState(false);
  const weak = isNew ? passwordProblem(password) : null;
  const enter = useMutation({
    mutationFn: async () => {
      if (isNew) {
        const headers: Record<string, string> = secret.trim() ? { 'x-vectron-bootstrap': secret.trim() } : {};
        await call('RegisterUser', { email, password }, { headers });
      }
      const { jwtToken } = await call('Login', { email, password });
      setToken(jwtToken);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTouched(true);
    if (email !== '' && password !== '' && !weak) enter.mutate();
  };
  return (
    <form onSubmit={submit} noValidate>
      <Stack>
        <TextInput
          label="E-mail"
          type="email"
          autoComplete="username"
          value={email}
          onChange={(event) => setEmail(event.currentTarget.value)}
          error={touched && email === '' ? 'Your e-mail address is needed.' : undefined}
          autoFocus
          size="md"
        />
        <PasswordInput
          label="Password"
          autoComplete={isNew ? 'new-password' : 'current-password'}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          error={touched ? (weak ?? (password === '' ? 'Your password is needed.' : undefined)) : undefined}
          description={isNew ? '8 characters or more; three kinds of: upper case, lower case, digits, others' : undefined}
          size="md"
        />
        {isNew && (
          <details>
            <summary className={css.summary}>I set up this server</summary>
            <TextInput
              mt="sm"
              label="Bootstrap secret"
              description="The first account that gives it becomes the administrator. The server wrote it to bootstrap.secret in its data folder."
              value={secret}
              onChange={(event) => setSecret(event.currentTarget.value)}
              autoComplete="off"
              spellCheck={false}
            />
          </details>
        )}
        {enter.error && (
          <p className={css.problem} role="alert">
            {problemText(enter.error, isNew)}
          </p>
        )}
        <Button type="submit" size="md" loading={enter.isPending}>
          {isNew ? 'Create account' : 'Sign in'}
        </Button>
      </Stack>
    </form>
  );
}

function problemText(error: unknown, isNew: boolean): string {
  if (!isNew && troubleOf(error) === 'unauthenticated') return 'E-mail or password is wrong.';
  const advice = adviceFor(error);
  return advice.title === 'The server did not accept it' ? advice.text : `${advice.title}. ${advice.text}`;
}
