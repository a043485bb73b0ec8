// Short messages about what an act did, read out by screen readers.
import { CloseButton } from '@mantine/core';
import { createContext, useCallback, useContext, useMemo, useRef, useState, type ReactNode } from 'react';
import { adviceFor } from '../api/errors';
import { css } from './ui';

const shownMs = 6000;
const mostShown = 4;

interface Toast {
  id: number;
  tone: 'plain' | 'bad';
  title: string;
  text?: string;
}
interface Toasts {
  say: (title: string, text?: string) => void;
  fail: (what: string, error: unknown) => void;
}

const ToastContext = createContext<Toasts>({ say: () => {}, fail: () => {} });

export function ToastProvider({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<Toast[]>([]);
  const next = useRef(1);
  const close = useCallback((id: number) => setToasts((all) => all.filter((toast) => toast.id !== id)), []);
  const add = useCallback(
    (toast: Omit<Toast, 'id'>) => {
      const id = next.current;
      next.current += 1;
      setToasts((all) => [...all, { ...toast, id }].slice(-mostShown));
      // A failure stays until it is closed.
      if (toast.tone === 'plain') window.setTimeout(() => close(id), shownMs);
    },
    [close],
  );
  const value = useMemo<Toasts>(
    () => ({
      say: (title, text) => add({ tone: 'plain', title, text }),
      fail: (what, error) => {
        const advice = adviceFor(error);
        add({ tone: 'bad', title: what, text: `${advice.title}. ${advice.text}` });
      },
    }),
    [add],
  );
  return (
    <ToastContext value={value}>
      {children}
      <div className={css.toasts} role="status" aria-live="polite">
        {toasts.map((toast) => (
          <div key={toast.id} className={css.toast} data-tone={toast.tone}>
            <div>
              <strong>{toast.title}</strong>
              {toast.text && <div className="dim small wrap-anywhere">{toast.text}</div>}
            </div>
            <CloseButton size="sm" aria-label="Close message" onClick={() => close(toast.id)} />
          </div>
        ))}
      </div>
    </ToastContext>
  );
}

export function useToasts(): Toasts {
  return useContext(ToastContext);
}
