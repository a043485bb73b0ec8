// The HTTP interface as this very server describes it.
import { Anchor, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { baseUrl, send } from '../api/client';
import { css as ui, Empty, Loaded, Page, Panel, Table, Tag, type Tone } from '../components/ui';
import { byTag, jsonSchemaOf, messageIn, resolve, shortName, typeWords, type Listed, type OpenApi, type Schema } from '../lib/openapi';
import css from './api.module.css';

export default function Api() {
  const document = useQuery({
    queryKey: ['openapi'],
    queryFn: ({ signal }) => send('GET', '/openapi.json', undefined, { signal }) as Promise<OpenApi>,
    staleTime: Infinity,
  });
  const [search, setSearch] = useState('');
  return (
    <Page
      title="API reference"
      lead={
        <>
          Every route of this server, from{' '}
          <Anchor href={`${baseUrl()}openapi.json`} underline="always" inherit>
            openapi.json
          </Anchor>
          . The same calls exist over gRPC, with reflection.
        </>
      }
    >
      <TextInput
        aria-label="Find a route"
        placeholder="Find by path or name"
        value={search}
        onChange={(event) => setSearch(event.currentTarget.value)}
        style={{ maxWidth: 360 }}
      />
      <Loaded query={document} rows={8} height={28}>
        {(data) => <Routes document={data} search={search.trim().toLowerCase()} />}
      </Loaded>
    </Page>
  );
}

function Routes({ document, search }: { document: OpenApi; search: string }) {
  const groups = [...byTag(document)]
    .map(([tag, routes]) => ({
      tag,
      routes: routes.filter((route) =>
        `${route.verb} ${route.path} ${route.operation.operationId ?? ''} ${route.operation.summary ?? ''}`.toLowerCase().includes(search),
      ),
    }))
    .filter((group) => group.routes.length > 0);
  if (groups.length === 0) return <Empty title="No route of that name" />;
  return groups.map((group) => (
    <Panel key={group.tag} title={group.tag} flush>
      {group.routes.map((route) => (
        <Route key={`${route.verb} ${route.path}`} document={document} route={route} />
      ))}
    </Panel>
  ));
}

const verbTone: Record<string, Tone> = { GET: 'good', POST: 'accent', PUT: 'warn', DELETE: 'bad' };

function Route({ document, route }: { document: OpenApi; route: Listed }) {
  const [open, setOpen] = useState(false);
  const { operation } = route;
  const request = jsonSchemaOf(operation.requestBody);
  const answer = jsonSchemaOf(operation.responses?.['200']);
  return (
    <details className={css.route} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <span className={css.verb}>
          <Tag tone={verbTone[route.verb]}>{route.verb}</Tag>
        </span>
        <span className="mono wrap-anywhere">{route.path}</span>
        <span className="dim small">{operation.summary}</span>
      </summary>
      {open && (
        <div className={css.body}>
          {operation.description && <p>{operation.description}</p>}
          {operation.parameters && operation.parameters.length > 0 && (
            <>
              <h3>Parameters</h3>
              <Table label="Parameters" head={<><th>Name</th><th>In</th><th>Type</th></>}>
                {operation.parameters.map((parameter) => (
                  <tr key={parameter.name}>
                    <td className="mono">{parameter.name}</td>
                    <td>{parameter.in}</td>
                    <td>{parameter.schema ? typeWords(parameter.schema) : ''}</td>
                  </tr>
                ))}
              </Table>
            </>
          )}
          {request && <Message title="Request" document={document} schema={request} />}
          {answer && <Message title="Answer" document={document} schema={answer} />}
        </div>
      )}
    </details>
  );
}

// A message with its fields; a field that is itself a message opens on demand.
function Message({ title, document, schema }: { title: string; document: OpenApi; schema: Schema }) {
  const [inner, setInner] = useState<string | null>(null);
  const name = messageIn(schema);
  const fields = Object.entries(resolve(document, schema).properties ?? {});
  const known = (each: Schema) => {
    const message = messageIn(each);
    return message && document.components?.schemas?.[message]?.properties ? message : undefined;
  };
  return (
    <>
      <h3>
        {title} {name && <span className="mono dim">{shortName(name)}</span>}
      </h3>
      {fields.length === 0 ? (
        <p className="dim">No fields.</p>
      ) : (
        <Table label={title} head={<><th>Field</th><th>Type</th><th>What it is</th></>}>
          {fields.map(([field, each]) => {
            const message = known(each);
            return (
              <tr key={field}>
                <td className="mono">{field}</td>
                <td className="wrap-anywhere">
                  {message ? (
                    <button type="button" className={ui.sort} style={{ color: 'var(--accent)' }} onClick={() => setInner(inner === message ? null : message)}>
                      {typeWords(each)}
                    </button>
                  ) : (
                    typeWords(each)
                  )}
                </td>
                <td className="dim">{each.description}</td>
              </tr>
            );
          })}
        </Table>
      )}
      {inner && (
        <div className={css.inner}>
          <Message key={inner} title="" document={document} schema={{ $ref: `#/components/schemas/${inner}` }} />
        </div>
      )}
    </>
  );
}
