{{/*
The StatefulSet of a role: {root, role, replicas, grace (seconds to stop), ports [{name, port}], command (may be absent), args}.
All are alike but for their arguments and ports. A StatefulSet for each, not a Deployment: every role keeps something in its volume, be it
only its audit log.
*/}}
{{- define "vectron.set" -}}
{{- $labels := include "vectron.labels" . -}}
{{- $own := index .root.Values .role -}}
{{- $tls := .root.Values.tls -}}
{{- $etcdTls := and (eq .role "auth") .root.Values.etcd.tls.existingSecret -}}
{{- $files := include "vectron.files" . -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ .root.Release.Name }}-{{ .role }}
  labels: {{- $labels | nindent 4 }}
spec:
  replicas: {{ .replicas }}
  serviceName: {{ .root.Release.Name }}-{{ .role }}
  podManagementPolicy: Parallel
  selector:
    matchLabels: {{- $labels | nindent 6 }}
  template:
    metadata:
      labels: {{- $labels | nindent 8 }}
      {{- if or $files .root.Values.metrics.scrapeAnnotations }}
      annotations:
        {{- if $files }}
        checksum/files: {{ sha256sum $files }}
        {{- end }}
        {{- if .root.Values.metrics.scrapeAnnotations }}
        prometheus.io/scrape: "true"
        prometheus.io/port: {{ include "vectron.metricsPort" .role | quote }}
        prometheus.io/path: /metrics
        {{- end }}
      {{- end }}
    spec:
      terminationGracePeriodSeconds: {{ .grace }}
      automountServiceAccountToken: false
      enableServiceLinks: false  # VECTRON_... of the environment are options
      securityContext: {{- include "vectron.podSecurity" . | nindent 8 }}
      {{- include "vectron.scheduling" . | nindent 6 }}
      containers:
        - name: {{ .role }}
          image: {{ include "vectron.image" .root }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          env:
            - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
          {{- with .command }}
          command: {{- toYaml . | nindent 12 }}
          {{- end }}
          args:
            {{- toYaml .args | nindent 12 }}
            {{- include "vectron.commonFlags" . | nindent 12 }}
          ports:
            {{- range .ports }}
            - {name: {{ .name }}, containerPort: {{ .port }}}
            {{- end }}
            - {name: metrics, containerPort: {{ include "vectron.metricsPort" .role }}}
          readinessProbe: {httpGet: {path: /readyz, port: metrics}, periodSeconds: 5}
          livenessProbe: {httpGet: {path: /healthz, port: metrics}, periodSeconds: 10, failureThreshold: 6}
          startupProbe: {httpGet: {path: /healthz, port: metrics}, periodSeconds: 5, failureThreshold: 60}
          securityContext: {{- include "vectron.containerSecurity" . | nindent 12 }}
          resources: {{- toYaml $own.resources | nindent 12 }}
          volumeMounts:
            - {name: data, mountPath: /var/lib/vectron}
            - {name: secret, mountPath: /run/vectron, readOnly: true}
            - {name: tmp, mountPath: /tmp}
            {{- if $tls.cluster.existingSecret }}
            - {name: cluster-tls, mountPath: /run/vectron-tls/cluster, readOnly: true}
            {{- end }}
            {{- if include "vectron.clientTls" . }}
            - {name: client-tls, mountPath: /run/vectron-tls/clients, readOnly: true}
            {{- end }}
            {{- if $etcdTls }}
            - {name: etcd-tls, mountPath: /run/vectron-tls/etcd, readOnly: true}
            {{- end }}
            {{- if $files }}
            - {name: options, mountPath: /etc/vectron, readOnly: true}
            {{- end }}
      volumes:
        - {name: secret, secret: {secretName: {{ include "vectron.secretName" .root }}, defaultMode: 0400}}
        - {name: tmp, emptyDir: {}}
        {{- with $tls.cluster.existingSecret }}
        - {name: cluster-tls, secret: {secretName: {{ . }}, defaultMode: 0400}}
        {{- end }}
        {{- if include "vectron.clientTls" . }}
        - {name: client-tls, secret: {secretName: {{ $tls.clients.existingSecret }}, defaultMode: 0400}}
        {{- end }}
        {{- if $etcdTls }}
        - {name: etcd-tls, secret: {secretName: {{ $etcdTls }}, defaultMode: 0400}}
        {{- end }}
        {{- if $files }}
        - {name: options, configMap: {name: {{ .root.Release.Name }}-{{ .role }}}}
        {{- end }}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with $own.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources: {requests: {storage: {{ $own.storage }}}}
{{- end }}

{{/* The headless service that gives the role's pods their names: {root, role, ports}. */}}
{{- define "vectron.headless" -}}
{{- $labels := include "vectron.labels" . -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .root.Release.Name }}-{{ .role }}
  labels: {{- $labels | nindent 4 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector: {{- $labels | nindent 4 }}
  ports:
    {{- range .ports }}
    - {name: {{ .name }}, port: {{ .port }}}
    {{- end }}
{{- end }}

{{- define "vectron.disruption" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .root.Release.Name }}-{{ .role }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "vectron.labels" . | nindent 6 }}
{{- end }}
